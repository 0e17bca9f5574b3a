// An image of a non-local block's kernels (nonlocal_block.cu): its sizes, and where its matrices
// are in shared memory. For nvcc only.
//
// In shared memory all is float, in fours of channels. Pixels are in the order of their place in
// the window first: pixel `place` of window w is row place · M + w. So the four pixels of a window
// are rows M apart, and a thread that has them pools them in its registers. Rows are an odd number
// of fours apart, so that neighbouring threads' are on different banks.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/base/host_device.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/nn/gpu/nonlocal_block.cuh"

namespace ebm::nonlocal {

using Four = Pack<float, 4>;

EBM_HOST_DEVICE int odd(int fours) { return fours | 1; }

/// The numbers of a shape. Fours are those of a row.
struct Sizes {
  int windows;  // M, a power of two
  int windows_log2;
  int across_log2;  // of windows side by side
  int half;         // k
  int half_fours;   // k / 4
  int key_fours;    // M / 4

  explicit Sizes(const NonlocalShape& shape)
      : windows(shape.height / 2 * (shape.width / 2)),
        windows_log2(std::countr_zero(static_cast<unsigned>(windows))),
        across_log2(std::countr_zero(static_cast<unsigned>(shape.width / 2))),
        half(shape.half),
        half_fours(shape.half / 4),
        key_fours(windows / 4) {}

  EBM_HOST_DEVICE int pixels() const { return 4 * windows; }
  EBM_HOST_DEVICE int fours() const { return 2 * half_fours; }  // of x
  /// From one row to the next.
  EBM_HOST_DEVICE int half_stride() const { return odd(half_fours); }
  EBM_HOST_DEVICE int stride() const { return odd(fours()); }
  EBM_HOST_DEVICE int key_stride() const { return odd(key_fours); }
  EBM_HOST_DEVICE int qkv_stride() const { return odd(3 * half_fours); }

  /// Where a pixel is in its image.
  EBM_HOST_DEVICE int pixel(int place, int window) const {
    const int down = window >> across_log2;
    const int right = window - (down << across_log2);
    return ((2 * down + place / 2) << (across_log2 + 1)) + 2 * right + place % 2;
  }
  EBM_HOST_DEVICE int pixel_of_row(int row) const {
    return pixel(row >> windows_log2, row & (windows - 1));
  }
};

/// Gives out shared memory.
struct SharedRoom {
  int fours = 0;

  int take(int count) {
    const int at = fours;
    fours += count;
    return at;
  }
  std::int64_t bytes() const { return std::int64_t{fours} * static_cast<int>(sizeof(Four)); }
};

/// Where the forward pass's matrices are.
struct ForwardRoom {
  SharedRoom room;
  int x;                   // N × 2k; then the attention, N × M
  int queries;             // N × k; then A V
  int keys;                // M × k
  int values;              // k × M, transposed
  int first;               // 2k: K and V of the first window
  int qkv_weights;         // 3k × 2k
  int projection_weights;  // 2k × k

  explicit ForwardRoom(const Sizes& sizes)
      : x(room.take(sizes.pixels() * std::max(sizes.stride(), sizes.key_stride()))),
        queries(room.take(sizes.pixels() * sizes.half_stride())),
        keys(room.take(sizes.windows * sizes.half_stride())),
        values(room.take(sizes.half * sizes.key_stride())),
        first(room.take(2 * sizes.half_fours)),
        qkv_weights(room.take(3 * sizes.half * sizes.stride())),
        projection_weights(room.take(2 * sizes.half * sizes.half_stride())) {}
};

/// Where the backward pass's are. The attention and its gradient are there for `argmax` of the four
/// rows of pixels at a time.
struct BackwardRoom {
  SharedRoom room;
  int argmax;
  int dy;       // N × 2k; then the attention and its scores' gradient, each of so many rows
  int queries;  // N × k, as the next two
  int attended_gradient;  // that of A V
  int query_gradient;
  int log_sums;  // N floats
  int keys;      // M × k, as the values
  int values;
  int transposed_keys;     // k × M
  int key_gradient;        // M × 2k: those of K and V
  int winners;             // M × 2k bytes: a pooled value's place
  int qkv_weights;         // 2k × 3k, transposed
  int projection_weights;  // k × 2k, transposed

  BackwardRoom(const Sizes& sizes, int places_at_a_time)
      : argmax(places_at_a_time),
        dy(room.take(std::max(sizes.pixels() * sizes.stride(),
                              2 * argmax * sizes.windows * sizes.key_stride()))),
        queries(room.take(sizes.pixels() * sizes.half_stride())),
        attended_gradient(room.take(sizes.pixels() * sizes.half_stride())),
        query_gradient(room.take(sizes.pixels() * sizes.half_stride())),
        log_sums(room.take(sizes.windows)),
        keys(room.take(sizes.windows * sizes.half_stride())),
        values(room.take(sizes.windows * sizes.half_stride())),
        transposed_keys(room.take(sizes.half * sizes.key_stride())),
        key_gradient(room.take(sizes.windows * odd(2 * sizes.half_fours))),
        winners(room.take(ceil_div(sizes.windows * 2 * sizes.half_fours, 4))),
        qkv_weights(room.take(2 * sizes.half * sizes.qkv_stride())),
        projection_weights(room.take(sizes.half * sizes.stride())) {}
};

/// The parts of memory that are one image's.
template <class T>
__device__ NonlocalMemory<T> of_image(const NonlocalMemory<T>& memory, const Sizes& sizes) {
  const std::int64_t pixels = std::int64_t{blockIdx.x} * sizes.pixels();
  const std::int64_t windows = std::int64_t{blockIdx.x} * sizes.windows;
  return {memory.qkv + pixels * 3 * sizes.half,     memory.pooled + windows * 2 * sizes.half,
          memory.argmax + windows * 2 * sizes.half, memory.log_sums + pixels,
          memory.attended + pixels * sizes.half,    memory.qkv_gradient + pixels * 3 * sizes.half};
}

}  // namespace ebm::nonlocal
