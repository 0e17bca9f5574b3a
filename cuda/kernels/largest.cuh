// The largest of many values in size: whether numbers are still within bounds.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/device/host_device.cuh"

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// The bits of |value|: in the values' order, NaN last.
EBM_HOST_DEVICE std::uint32_t size_bits(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
}

/// max |values[i]|, 0 of none; NaN when there is a NaN, infinite when there is an infinity.
float largest_size(std::int64_t n, const float* values);

#ifdef EBM_CUDA
/// The same of device memory, written to the device's *largest; enqueued on a stream.
void largest_size(const CudaStream& stream, std::int64_t n, const float* values, float* largest);
#endif

}  // namespace ebm
