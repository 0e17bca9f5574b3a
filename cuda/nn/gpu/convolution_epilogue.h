// The element-by-element work around a convolution, where no library does it in the same sweep. In
// builds with CUDA only.
#pragma once

#include "cuda/device/cuda_stream.h"
#include "cuda/nn/gpu/convolution_pattern.h"

namespace ebm {

/// y = W∗x becomes y = W∗x + b, and its LeakyReLU if the pattern has one. y holds float or, in
/// bf16, Bfloat16.
void finish_forward(const CudaStream& stream, const ConvolutionPattern& pattern, const float* bias,
                    void* y);

/// dx, the gradient with respect to x, becomes that with respect to the input of the LeakyReLU that
/// made x, if the pattern says one did.
void finish_input_gradient(const CudaStream& stream, const ConvolutionPattern& pattern,
                           const void* x, void* dx);

/// subpixel_weights() and from_subpixels() of arrays of the pattern's type, the latter with the
/// derivative of the LeakyReLU that made x, if the pattern says one did.
void prepare_subpixels(const CudaStream& stream, const ConvolutionPattern& pattern,
                       const void* weight, void* subpixel_weight);
void finish_subpixels(const CudaStream& stream, const ConvolutionPattern& pattern,
                      const void* subpixels, const void* x, void* dx);

}  // namespace ebm
