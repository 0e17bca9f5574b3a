// The largest of many values in size: whether numbers are still within bounds.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/device/host_device.cuh"
#ifdef EBM_CUDA
#include <cstddef>

#include "cuda/device/device_buffer.h"
#endif

namespace ebm {

/// The bits of |value|: in the values' order, NaN last.
EBM_HOST_DEVICE std::uint32_t size_bits(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
}

/// max |values[i]|, 0 of none; NaN when there is a NaN, infinite when there is an infinity. The
/// maximum of integers is the same in any order, so these are the same bits for any number of
/// threads and on any device.
///
/// A loop of OpenMP's, and not Thrust's OpenMP system: that takes memory at every call, wakes all
/// threads for a hundred values, divides its work by the number of processors, which no other sum
/// of ours may depend on, and cannot be compiled by a C++ compiler that stands in for nvcc.
float largest_size(std::int64_t n, const float* values);

#ifdef EBM_CUDA
/// The same of `n` values in the device's memory, by CUB, whose temporary memory is taken once.
class DeviceLargestSize {
 public:
  DeviceLargestSize(const CudaStream& stream, std::int64_t n);

  /// Writes the device's *largest. Enqueued on the stream, which must outlive this.
  void operator()(const float* values, float* largest);

 private:
  const CudaStream& stream_;
  std::int64_t n_;
  DeviceBuffer<std::byte> scratch_;
};
#endif

}  // namespace ebm
