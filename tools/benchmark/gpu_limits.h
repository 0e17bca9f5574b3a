// What the GPU can do at most: the scale that speeds are judged on.
#pragma once

#include "cuda/device/cuda_stream.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// Floating-point operations a second of one large matrix product by cuBLAS, whose factors are what
/// networks of that precision multiply.
double peak_arithmetic(const CudaStream& stream, Precision precision);

/// Bytes a second, read and written, of a copy larger than any cache.
double copy_bandwidth(const CudaStream& stream);

}  // namespace ebm
