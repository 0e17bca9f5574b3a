// Convolutions of any shape by kernels of our own, for layers that a library serves badly (a
// network's first, with 1 to 4 channels of images) or not at all. In builds with CUDA only.
//
// Work is enqueued on a stream; the pointers are the device's. T, the type of activations, is float
// or Bfloat16. In, the type of the layer's input, is T, or float for states. Weights are (out, in,
// kh, kw). y and dy are channels last: images × out_height × out_width × out_channels. Sums are
// taken in float, in an order that depends on the shape alone.
#pragma once

#include <cstddef>

#include "cuda/nn/convolution_shape.h"
#include "cuda/nn/gpu/image_layout.cuh"

namespace ebm {

class CudaStream;

/// y = W∗x + b with the epilogue.
template <class In, class T>
void convolution_forward(const CudaStream& stream, const ConvolutionShape& shape,
                         ImageLayout layout, const In* x, const float* weight, const float* bias,
                         Epilogue epilogue, T* y);

/// dx, in x's layout, from dy. With a `y`, the layer's output after its LeakyReLU, dy is with
/// respect to that and is multiplied by LeakyReLU' as it is read. With an `x`, the layer's input
/// where a LeakyReLU made it, dx is multiplied by LeakyReLU' of that. Both may be null.
template <class In, class T>
void convolution_input_gradient(const CudaStream& stream, const ConvolutionShape& shape,
                                ImageLayout layout, const T* dy, const T* y, const float* weight,
                                const In* x, In* dx);

/// Values of scratch memory that convolution_weight_gradient needs.
std::size_t convolution_weight_gradient_scratch(const ConvolutionShape& shape);

/// The gradients of weight and bias, overwritten, from x and dy. `y` as above.
template <class In, class T>
void convolution_weight_gradient(const CudaStream& stream, const ConvolutionShape& shape,
                                 ImageLayout layout, const In* x, const T* dy, const T* y,
                                 float* scratch, float* weight_gradient, float* bias_gradient);

}  // namespace ebm
