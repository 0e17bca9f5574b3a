#include "cuda/kernels/max_abs.cuh"

#include <algorithm>
#include <bit>

#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/whole_array.cuh"
#endif

namespace ebm {

float max_abs(std::int64_t n, const float* values) {
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
#endif

MaxAbs::MaxAbs(const Queue& queue, std::int64_t n) : queue_(queue), n_(n) {
#ifdef __CUDACC__
  if (!queue.on_cpu()) {
    std::size_t bytes = 0;
    reduce(queue.stream(), nullptr, bytes, n, nullptr, nullptr);
    scratch_ = Array<std::byte>(queue, bytes);
  }
#endif
}

void MaxAbs::operator()(const float* values, float* largest) {
  if (queue_.on_cpu()) {
    *largest = max_abs(n_, values);
    return;
  }
#ifdef __CUDACC__
  std::size_t bytes = scratch_.size();
  reduce(queue_.stream(), scratch_.data(), bytes, n_, values, largest);
#endif
}

}  // namespace ebm
