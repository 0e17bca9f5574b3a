#include "cuda/kernels/largest.cuh"

#include <algorithm>
#include <bit>

#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/block_reduce.cuh"
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

// The maximum of integers is the same in any order, so the blocks may meet in an atomic one.
__global__ void largest_size_kernel(std::int64_t n, const float* values, unsigned* largest) {
  const std::int64_t stride = std::int64_t{blockDim.x} * gridDim.x;
  unsigned mine = 0;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    mine = max(mine, size_bits(values[i]));
  }
  mine = warp_reduce(mine, [](unsigned a, unsigned b) { return max(a, b); });
  if (threadIdx.x % kWarp == 0) {
    atomicMax(largest, mine);
  }
}

}  // namespace

void largest_size(const CudaStream& stream, std::int64_t n, const float* values, float* largest) {
  static_assert(sizeof(unsigned) == sizeof(float));
  EBM_CHECK_CUDA(cudaMemsetAsync(largest, 0, sizeof(float), stream.get()));
  if (n == 0) {
    return;
  }
  constexpr std::int64_t kThreads = 256;
  const auto blocks =
      static_cast<unsigned>(std::min<std::int64_t>(1024, (n + kThreads - 1) / kThreads));
  launch_kernel(stream, blocks, kThreads, 0, largest_size_kernel, n, values,
                reinterpret_cast<unsigned*>(largest));
}
#endif

}  // namespace ebm
