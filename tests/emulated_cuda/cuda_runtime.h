// What this project uses of CUDA's language, for a C++ compiler: a kernel is an ordinary function,
// which the emulator calls once for every thread. Included ahead of every .cu file, as nvcc does.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "cuda_runtime_api.h"
#include "grid.h"
#include "launch.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// Blocks run one after the other, a kernel at a time: they can share one array. The attribute tells
// the linker which arrays these are (GCC ignores one that names a section, in templates): every
// block finds them filled with NaN.
#ifdef __clang__  // which reads the code only, in clang-tidy, and does not know the attribute
#define __shared__ static
#else
#define __shared__ static __attribute__((noinit))
#endif

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

// The emulator sets these whenever another thread gets to run.
inline thread_local uint3 threadIdx;
inline thread_local uint3 blockIdx;
inline constinit thread_local dim3 blockDim;
inline constinit thread_local dim3 gridDim;

template <class T>
requires std::is_arithmetic_v<T>
constexpr T max(T a, T b) { return a < b ? b : a; }
template <class T>
requires std::is_arithmetic_v<T>
constexpr T min(T a, T b) { return b < a ? b : a; }

inline void __syncthreads() { emulated_cuda::meet_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffU) {
  emulated_cuda::meet_warp(emulated_cuda::Meeting::warp_barrier, mask, 0, 0);
}

namespace emulated_cuda {

template <class T>
T shuffle(unsigned mask, T value, unsigned source) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof(T));
  word = meet_warp(Meeting::shuffle, mask, word, source);
  std::memcpy(&value, &word, sizeof(T));
  return value;
}

}  // namespace emulated_cuda

// A warp is cut into parts of `width` lanes, a power of two. Lanes whose source is beyond their
// part keep their own value.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const unsigned lane = emulated_cuda::lane();
  const auto part = static_cast<unsigned>(width);
  return emulated_cuda::shuffle(mask, value,
                                lane / part * part + static_cast<unsigned>(source) % part);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  const unsigned lane = emulated_cuda::lane();
  const auto part = static_cast<unsigned>(width);
  const unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  return emulated_cuda::shuffle(mask, value, source < (lane / part + 1) * part ? source : lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned lane = emulated_cuda::lane();
  const auto part = static_cast<unsigned>(width);
  return emulated_cuda::shuffle(mask, value, lane % part + delta < part ? lane + delta : lane);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return static_cast<unsigned>(emulated_cuda::meet_warp(
      emulated_cuda::Meeting::ballot, mask, static_cast<std::uint64_t>(predicate != 0), 0));
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == mask;
}

// Threads run one at a time, so these are atomic. On integers only: sums of floats in the order in
// which threads happen to come are not the same bits every run.
template <class T>
requires std::is_integral_v<T> T atomicAdd(T* place, std::type_identity_t<T> value) {
  const T before = *place;
  *place = before + value;
  return before;
}
template <class T>
requires std::is_integral_v<T> T atomicMax(T* place, std::type_identity_t<T> value) {
  const T before = *place;
  *place = max(before, value);
  return before;
}

template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

/// By the limits of compute capability 9.0 on threads and dynamic shared memory; registers and
/// __shared__ arrays are not known here.
template <class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks,
                                                          void (* /*kernel*/)(Parameters...),
                                                          int threads, std::size_t shared_bytes) {
  const auto by_memory = static_cast<int>(228 * 1024 / (shared_bytes + 1024));
  *blocks = min(32, min(2048 / threads, by_memory));
  return cudaSuccess;
}
