// Neighbouring values in one access to memory, computed with as floats. For CUDA kernels on
// activations of type float or Bfloat16; a pack of 16 bytes is the widest access there is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "cuda/base/ceil_div.h"
#include "cuda/base/host_device.cuh"
#include "cuda/device/launch.cuh"

namespace ebm {

template <class T, int count>
struct alignas(sizeof(T) * count) Pack {
  T v[count];
};

/// A pack's values, in registers.
template <int count>
struct Floats {
  float v[count];
};

/// `from` and `to` are aligned to the pack's size.
template <int count, class T>
EBM_HOST_DEVICE Floats<count> load_pack(const T* from) {
  const auto pack = *reinterpret_cast<const Pack<T, count>*>(from);
  Floats<count> values;
  for (int k = 0; k < count; ++k) {
    values.v[k] = static_cast<float>(pack.v[k]);
  }
  return values;
}

template <int count, class T>
EBM_HOST_DEVICE void store_pack(T* to, const Floats<count>& values) {
  Pack<T, count> pack;
  for (int k = 0; k < count; ++k) {
    pack.v[k] = static_cast<T>(values.v[k]);
  }
  *reinterpret_cast<Pack<T, count>*>(to) = pack;
}

/// Whether packs of `count` values can be read at all these addresses. Null is no obstacle.
template <class... Values>
bool aligned_to_packs(std::uintptr_t count, const Values*... addresses) {
  return ((reinterpret_cast<std::uintptr_t>(addresses) % (count * sizeof(Values)) == 0) && ...);
}

/// Calls launch(std::integral_constant<int, count>) with the values of T in 16 bytes, or with 1
/// where `size`, or one of the addresses, is not a multiple of that.
template <class T, class Launch, class... Values>
void with_widest_pack(std::int64_t size, const Launch& launch, const Values*... addresses) {
  constexpr int kWidest = 16 / sizeof(T);
  if (size % kWidest == 0 && aligned_to_packs(kWidest, addresses...)) {
    launch(std::integral_constant<int, kWidest>{});
  } else {
    launch(std::integral_constant<int, 1>{});
  }
}

#ifdef __CUDACC__
/// Runs body(row, column) for all cells of a matrix, neighbouring columns on neighbouring threads.
template <class Body>
__global__ void for_each_cell_kernel(std::int64_t rows, std::int64_t columns, Body body) {
  const std::int64_t row_stride = std::int64_t{blockDim.y} * gridDim.x;
  for (std::int64_t row = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < rows;
       row += row_stride) {
    for (std::int64_t column = threadIdx.x; column < columns; column += blockDim.x) {
      body(row, column);
    }
  }
}

/// The same, enqueued on a stream.
template <class Body>
void for_each_cell(const CudaStream& stream, std::int64_t rows, std::int64_t columns,
                   const Body& body) {
  if (rows <= 0 || columns <= 0) {
    return;
  }
  constexpr std::int64_t kThreads = 256;
  constexpr std::int64_t kMostBlocks = 65536;  // more than any GPU runs at a time
  const std::int64_t across = std::min(columns, kThreads);
  const std::int64_t down = kThreads / across;
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, ceil_div(rows, down)));
  launch_kernel(stream, blocks, dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), 0,
                for_each_cell_kernel<Body>, rows, columns, body);
}
#endif

}  // namespace ebm
