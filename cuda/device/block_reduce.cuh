// Sums over a block of threads in one fixed order, because the order is part of a result's bits.
// For nvcc and the emulator: they are ours and not cub::BlockReduce, so that tests without a GPU
// run them. Reductions of whole arrays are CUB's: whole_array.cuh.
#pragma once

#include <cstdint>

namespace ebm {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kWholeWarp = 0xffffffffU;

/// combine(values of all 32 lanes), on every lane: a butterfly, in which both lanes of a pair
/// combine the same two values, so that a commutative `combine` gives all lanes the same bits.
template <class T, class Combine>
__device__ __forceinline__ T warp_reduce(T value, const Combine& combine) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(kWholeWarp, value, distance));
  }
  return value;
}

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  return warp_reduce(value, [](T a, T b) { return a + b; });
}

/// The sum over all threads of the block, on every thread. Blocks are whole warps, 1024 threads at
/// most; all threads take part. It is a barrier, also for what they read and wrote before.
template <class T>
__device__ __forceinline__ T block_sum(T value) {
  __shared__ T warp_sums[kWarp];
  const unsigned lane = threadIdx.x % kWarp;
  value = warp_sum(value);
  if (blockDim.x == kWarp) {
    __syncwarp();  // a shuffle orders no memory
    return value;
  }
  __syncthreads();  // an earlier sum has been read
  if (lane == 0) {
    warp_sums[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  return warp_sum(lane < blockDim.x / kWarp ? warp_sums[lane] : T{});
}

/// Threads of a block that works on `items` items at a time: a warp for few, 256 for many. A
/// function of the items alone, so that the order of sums is, too.
inline unsigned block_threads(std::int64_t items) { return items <= 64 ? kWarp : 256; }

}  // namespace ebm
