// The largest of many values in size: whether numbers are still within bounds.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/device/array.h"

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
float max_abs(std::int64_t n, const float* values);

/// The same of n values where a queue computes; on a device by CUB, whose temporary memory is taken
/// once.
class MaxAbs {
 public:
  MaxAbs(const Queue& queue, std::int64_t n);

  /// Writes *largest; both pointers are where the queue computes.
  void operator()(const float* values, float* largest);

 private:
  Queue queue_;
  std::int64_t n_;
  Array<std::byte> scratch_;
};

}  // namespace ebm
