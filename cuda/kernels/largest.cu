#include "cuda/kernels/largest.cuh"

#include <algorithm>
#include <bit>

#include "cuda/device/launch.cuh"

namespace ebm {

float largest_size(std::int64_t n, const float* values) {
  // Without their signs, floats are in the order of their bits, and NaN comes last.
  constexpr std::uint32_t kNoSign = 0x7fffffffU;
  std::uint32_t largest = 0;
#pragma omp parallel for simd schedule(static) \
    reduction(max                              \
              : largest) if (parallel          \
                             : n >= kValuesWorthThreads)
  for (std::int64_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) & kNoSign);
  }
  return std::bit_cast<float>(largest);
}

}  // namespace ebm
