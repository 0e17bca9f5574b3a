// Bfloat16 as float. In builds with CUDA only.
#pragma once

#include <cstdint>

#include "cuda/device/bfloat16.cuh"

namespace ebm {

class CudaStream;

/// y[i] = x[i], exactly, for n values; enqueued on a stream. The pointers are the device's.
void widen(const CudaStream& stream, std::int64_t n, const Bfloat16* x, float* y);

}  // namespace ebm
