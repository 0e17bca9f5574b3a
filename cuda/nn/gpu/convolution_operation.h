// Convolutions and linear layers on a CUDA device. In builds with CUDA only.
#pragma once

#include "cuda/nn/gpu/gpu_operation.h"

namespace ebm {

extern const GpuFactory kGpuConvolution;
GpuBytes gpu_convolution_bytes(const Operation& operation, int images, Precision precision);

extern const GpuFactory kGpuImageConvolution;
GpuBytes gpu_image_convolution_bytes(const Operation& operation, int images, Precision precision);

/// The most that a library's convolution needs of the shared memory while it runs and while its
/// plans are measured.
std::int64_t convolution_workspace(const ConvolutionShape& shape, Precision precision);

}  // namespace ebm
