#include "cuda/kernels/largest.cuh"

#include <algorithm>
#include <bit>

#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/whole_array.cuh"
#endif

namespace ebm {

float largest_size(std::int64_t n, const float* values) {
  std::uint32_t largest = 0;
#pragma omp parallel for simd schedule(static) \
    reduction(max                              \
              : largest) if (parallel          \
                             : n >= kValuesWorthThreads)
  for (std::int64_t i = 0; i < n; ++i) {
    largest = std::max(largest, size_bits(values[i]));
  }
  return std::bit_cast<float>(largest);
}

#ifdef __CUDACC__
namespace {

struct SizeBits {
  EBM_HOST_DEVICE std::uint32_t operator()(float value) const { return size_bits(value); }
};

struct Larger {
  EBM_HOST_DEVICE std::uint32_t operator()(std::uint32_t a, std::uint32_t b) const {
    return a < b ? b : a;
  }
};

void reduce(const CudaStream& stream, std::byte* scratch, std::size_t& bytes, std::int64_t n,
            const float* values, float* largest) {
  reduce_whole(stream, scratch, bytes, n, values, Larger(), SizeBits(), std::uint32_t{0},
               reinterpret_cast<std::uint32_t*>(largest));
}

}  // namespace

DeviceLargestSize::DeviceLargestSize(const CudaStream& stream, std::int64_t n)
    : stream_(stream), n_(n) {
  std::size_t bytes = 0;
  reduce(stream, nullptr, bytes, n, nullptr, nullptr);
  scratch_ = DeviceBuffer<std::byte>(stream, bytes);
}

void DeviceLargestSize::operator()(const float* values, float* largest) {
  std::size_t bytes = scratch_.size();
  reduce(stream_, scratch_.data(), bytes, n_, values, largest);
}
#endif

}  // namespace ebm
