// A network's first convolution and its gradient with respect to the images, by kernels made for
// few channels. In builds with CUDA only; cuda/nn/cpu/first_layer_gradient.h has the CPU's.
#pragma once

#include "cuda/nn/convolution_shape.h"
#include "cuda/nn/gpu/image_layout.cuh"

namespace ebm {

class CudaStream;

/// Whether the functions here compute this: 3×3, stride 1, 1 to 4 channels.
inline bool is_image_convolution(const ConvolutionShape& shape) {
  return shape.kernel == 3 && shape.stride == 1 && shape.in_channels <= 4;
}

/// As convolution_forward.
template <class In, class T>
void image_forward(const CudaStream& stream, const ConvolutionShape& shape, ImageLayout layout,
                   const In* x, const float* weight, const float* bias, Epilogue epilogue, T* y);

/// As convolution_input_gradient.
template <class In, class T>
void image_gradient(const CudaStream& stream, const ConvolutionShape& shape, ImageLayout layout,
                    const T* dy, const T* y, const float* weight, const In* x, In* dx);

}  // namespace ebm
