// The two ways a kernel's body is run: an OpenMP loop on the CPU, and, where nvcc compiles, a grid
// of CUDA threads; tests without a GPU have an emulator do that (tests/emulated_cuda). A body is a
// functor of one index, `EBM_HOST_DEVICE void operator()(int64) const`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/base/host_device.cuh"
#include "cuda/device/queue.h"
#ifdef __CUDACC__
#include "cuda/device/cuda_status.h"
#include "cuda/device/cuda_stream.h"
#endif

namespace ebm {

/// Fewer values than this are done before other threads have woken up.
inline constexpr std::int64_t kValuesWorthThreads = 16384;

/// Runs body(i) for every i in [0, n), in no particular order. Called from inside a parallel
/// region (one thread's tile of chains), it runs on that thread alone.
template <class Body>
void for_each_index(std::int64_t n, const Body& body) {
#pragma omp parallel for simd schedule(static) if (parallel : n >= kValuesWorthThreads)
  for (std::int64_t i = 0; i < n; ++i) {
    body(i);
  }
}

/// The same for bodies that are a whole row's work each, of `row_size` values or as much.
template <class Body>
void for_each_row(std::int64_t rows, std::int64_t row_size, const Body& body) {
#pragma omp parallel for schedule(static) if (rows * row_size >= kValuesWorthThreads)
  for (std::int64_t row = 0; row < rows; ++row) {
    body(row);
  }
}

#ifdef __CUDACC__
/// Enqueues kernel(arguments...) on a grid; `shared_bytes` is for dynamic_shared(). The one place
/// where kernels are launched.
template <class... Parameters, class... Arguments>
void launch_kernel(const CudaStream& stream, dim3 blocks, dim3 threads, std::size_t shared_bytes,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
#ifndef EBM_EMULATED_CUDA
  kernel<<<blocks, threads, shared_bytes, stream.get()>>>(arguments...);
  EBM_CHECK_CUDA(cudaGetLastError());
#else
  EBM_CHECK_CUDA(
      emulated_cuda::launch(stream.get(), blocks, threads, shared_bytes, kernel, arguments...));
#endif
}

/// In a kernel: the block's memory of the size that the launch gave, aligned to 16 bytes.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
#ifdef EBM_EMULATED_CUDA
  return static_cast<T*>(emulated_cuda::dynamic_shared());
#else
  extern __shared__ float4 dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
#endif
}

/// Runs body(i) for every i in [0, n) on a grid-stride loop.
template <class Body>
__global__ void for_each_index_kernel(std::int64_t n, Body body) {
  const std::int64_t stride = std::int64_t{blockDim.x} * gridDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    body(i);
  }
}

/// A body that does nothing where `stopped` is not null and what it points to, in the device's
/// memory, is not 0.
template <class Body>
struct UnlessStopped {
  const std::uint32_t* stopped;
  Body body;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    if (stopped == nullptr || *stopped == 0) {
      body(i);
    }
  }
};

/// Runs body(i) for every i in [0, n), enqueued on a stream.
template <class Body>
void for_each_index(const CudaStream& stream, std::int64_t n, const Body& body) {
  if (n <= 0) {
    return;
  }
  constexpr std::int64_t kThreads = 256;
  constexpr std::int64_t kMostBlocks = 65536;  // more than any GPU runs at a time
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, ceil_div(n, kThreads)));
  launch_kernel(stream, blocks, kThreads, 0, for_each_index_kernel<Body>, n, body);
}

/// One (row, k) of a body of two indices.
template <class Body>
struct OneOfRow {
  std::int64_t width;
  Body body;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { body(i / width, i % width); }
};
#endif

#if defined(__CUDACC__) || !defined(EBM_CUDA)  // where both ways are compiled, or there is one
/// Gives a queue body(i) for every i in [0, n). Nothing is done where `stopped` is not null and
/// what it points to, where the queue computes, is not 0 by then.
template <class Body>
void for_each_index(const Queue& queue, std::int64_t n, const Body& body,
                    const std::uint32_t* stopped = nullptr) {
#ifdef __CUDACC__
  if (!queue.on_cpu()) {
    for_each_index(queue.stream(), n, UnlessStopped<Body>{stopped, body});
    return;
  }
#endif
  static_cast<void>(queue);
  if (stopped == nullptr || *stopped == 0) {
    for_each_index(n, body);
  }
}

/// Gives a queue body(row, k) for every row in [0, rows) and k in [0, width): on the CPU a row is
/// one thread's work. `stopped` as above.
template <class Body>
void for_each_in_rows(const Queue& queue, std::int64_t rows, std::int64_t width, const Body& body,
                      const std::uint32_t* stopped = nullptr) {
#ifdef __CUDACC__
  if (!queue.on_cpu()) {
    for_each_index(queue, rows * width, OneOfRow<Body>{width, body}, stopped);
    return;
  }
#endif
  static_cast<void>(queue);
  if (stopped == nullptr || *stopped == 0) {
    for_each_row(rows, width, [&](std::int64_t row) {
      for (std::int64_t k = 0; k < width; ++k) {
        body(row, k);
      }
    });
  }
}
#endif

}  // namespace ebm
