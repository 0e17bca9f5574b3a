// What the two kernels of a non-local block (nonlocal_block.cu) are made of: memory brought into
// shared memory, and products of matrices there. For nvcc only.
//
// Every product is made of tiles of 4 × 4 values, a thread's each: 4 rows with 4 columns, each at
// one distance from the next.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/base/host_device.cuh"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/gpu/nonlocal_image.cuh"

namespace ebm::nonlocal {

// An image's argmax are ints. NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)

inline constexpr int kThreads = 512;
inline constexpr float kLog2E = 1.44269504088896341F;  // exponentials are powers of 2

using Tile = float[4][4];

/// body(row, four) for all of a matrix, neighbouring fours on neighbouring threads.
template <class Body>
__device__ __forceinline__ void for_each_four(int rows, int fours, const Body& body) {
#pragma unroll 1
  for (auto item = static_cast<int>(threadIdx.x); item < rows * fours; item += kThreads) {
    const int row = item / fours;
    body(row, item - row * fours);
  }
}

template <class T>
__device__ __forceinline__ Four load_four(const T* from) {
  const Floats<4> values = load_pack<4>(from);
  return {{values.v[0], values.v[1], values.v[2], values.v[3]}};
}

template <class T>
__device__ __forceinline__ void store_four(T* to, const Four& four) {
  store_pack(to, Floats<4>{{four.v[0], four.v[1], four.v[2], four.v[3]}});
}

/// As T would keep it.
template <class T>
__device__ __forceinline__ Four rounded(const float (&values)[4]) {
  Four four;
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    four.v[c] = static_cast<float>(static_cast<T>(values[c]));
  }
  return four;
}

__device__ __forceinline__ Four difference(const Four& a, const Four& b) {
  return {{a.v[0] - b.v[0], a.v[1] - b.v[1], a.v[2] - b.v[2], a.v[3] - b.v[3]}};
}

__device__ __forceinline__ Four sum(const Four& a, const Four& b) {
  return {{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3]}};
}

/// A weight's rows 4g + j, which are one thread's columns, go to j · rows/4 + g: at one distance
/// from each other, and beside those of the threads beside.
__device__ __forceinline__ int spread(int row, int rows) { return row % 4 * (rows / 4) + row / 4; }

/// Something to bring into shared memory: `count` items, each loaded and stored by one thread.
template <class Load, class Store>
struct Part {
  int count;
  Load load;    // (item) -> value
  Store store;  // (item, value)
};
template <class Load, class Store>
Part(int, Load, Store) -> Part<Load, Store>;

__device__ __forceinline__ void bring_item(int /*item*/) {}

/// One item of each part: all are loaded before the first is stored, which waits for the memory.
template <class First, class... Others>
__device__ __forceinline__ void bring_item(int item, const First& part, const Others&... others) {
  decltype(part.load(item)) value{};
  if (item < part.count) {
    value = part.load(item);
  }
  bring_item(item, others...);
  if (item < part.count) {
    part.store(item, value);
  }
}

template <class... Parts>
__device__ __forceinline__ void bring(const Parts&... parts) {
  int most = 0;
  ((most = max(most, parts.count)), ...);
#pragma unroll 1
  for (auto item = static_cast<int>(threadIdx.x); item < most; item += kThreads) {
    bring_item(item, parts...);
  }
}

/// rows × 4 · fours weights, spread.
__device__ __forceinline__ auto weights(int rows, int fours, const float* from, int stride,
                                        Four* to) {
  return Part{rows * fours, [=](int item) { return load_four(from + 4 * item); },
              [=](int item, const Four& values) {
                const int row = item / fours;
                to[spread(row, rows) * stride + item - row * fours] = values;
              }};
}

/// The same, transposed: columns become rows.
__device__ __forceinline__ auto transposed_weights(int rows, int fours, const float* from,
                                                   int stride, Four* to) {
  return Part{rows * fours, [=](int item) { return load_four(from + 4 * item); },
              [=](int item, const Four& values) {
                const int row = item / fours;
                const int four = item - row * fours;
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                  reinterpret_cast<float*>(to + (j * fours + four) * stride)[row] = values.v[j];
                }
              }};
}

struct WindowFours {
  Four pixels[4];
};

/// Of all windows' pixels, in the image `from`, the first `fours`.
template <class T>
__device__ __forceinline__ auto window_pixels(const Sizes& sizes, int fours, const T* from,
                                              int from_stride, int stride, Four* to) {
  return Part{sizes.windows * fours,
              [=, &sizes](int item) {
                const int window = item / fours;
                const T* const channels = from + 4 * (item - window * fours);
                WindowFours values;
#pragma unroll
                for (int place = 0; place < 4; ++place) {
                  values.pixels[place] =
                      load_four(channels + sizes.pixel(place, window) * from_stride);
                }
                return values;
              },
              [=, &sizes](int item, const WindowFours& values) {
                const int window = item / fours;
                Four* const channels = to + item - window * fours;
#pragma unroll
                for (int place = 0; place < 4; ++place) {
                  channels[(place * sizes.windows + window) * stride] = values.pixels[place];
                }
              }};
}

/// tile += the products of four rows of `fours` with four others, each `step` from the next.
__device__ __forceinline__ void add_products(const Four* rows, int row_step, const Four* columns,
                                             int column_step, int fours, Tile& tile) {
#pragma unroll 2
  for (int f = 0; f < fours; ++f) {
    Four a[4];
    Four b[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      a[i] = rows[i * row_step + f];
      b[i] = columns[i * column_step + f];
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          tile[i][j] += a[i].v[c] * b[j].v[c];
        }
      }
    }
  }
}

/// tile += Σ over `count` rows, `step` apart, of the outer products of a four with another.
__device__ __forceinline__ void add_outer_products(const Four* a, int a_step, const Four* b,
                                                   int b_step, int count, Tile& tile) {
#pragma unroll 4
  for (int row = 0; row < count; ++row) {
    const Four left = a[row * a_step];
    const Four right = b[row * b_step];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        tile[i][j] += left.v[i] * right.v[j];
      }
    }
  }
}

/// combine(values of `lanes` neighbouring lanes), a power of two, on each of them.
template <class Combine>
__device__ __forceinline__ void combine_lanes(int lanes, const Combine& combine,
                                              float (&values)[4]) {
  for (int distance = 1; distance < lanes; distance *= 2) {
#pragma unroll
    for (float& value : values) {
      value = combine(value, __shfl_xor_sync(kWholeWarp, value, distance));
    }
  }
}

__device__ __forceinline__ float larger(float a, float b) { return b > a ? b : a; }
__device__ __forceinline__ float added(float a, float b) { return a + b; }

/// Calls body(group, lane, owns) for groups of M/4 neighbouring lanes, in whole warps, because
/// lanes exchange values: those that are too many get the last group, and own nothing.
template <class Body>
__device__ __forceinline__ void for_each_row_group(const Sizes& sizes, int groups,
                                                   const Body& body) {
  const int lanes_log2 = sizes.windows_log2 - 2;
  const int items = groups << lanes_log2;
  const int whole = round_up(items, static_cast<int>(kWarp));
#pragma unroll 1
  for (auto item = static_cast<int>(threadIdx.x); item < whole; item += kThreads) {
    const int group = item >> lanes_log2;
    body(min(group, groups - 1), item & (sizes.key_fours - 1), group < groups);
  }
}

/// One thread's 4 × 4 of a matrix of N × M: rows `step` apart, columns lane + M/4 · j.
__device__ __forceinline__ void store_attention(const Sizes& sizes, const Tile& tile, int row,
                                                int step, int lane, Four* to) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    auto* const values = reinterpret_cast<float*>(to + (row + i * step) * sizes.key_stride());
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      values[lane + j * sizes.key_fours] = tile[i][j];
    }
  }
}

/// Of four pixels of a window, with four channels each.
struct PooledFour {
  Four values;
  Pack<std::uint8_t, 4> argmax;
};

__device__ __forceinline__ PooledFour pool(const Four (&window)[4]) {
  PooledFour pooled;
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    pooled.values.v[c] = pool_maximum(
        {{window[0].v[c], window[1].v[c], window[2].v[c], window[3].v[c]}}, pooled.argmax.v[c]);
  }
  return pooled;
}

/// What the pooling lets through to a window's pixel `place`.
__device__ __forceinline__ Four unpool(const Four& gradient, const Pack<std::uint8_t, 4>& winners,
                                       int place) {
  Four passed;
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    passed.v[c] = winners.v[c] == place ? gradient.v[c] : 0.0F;
  }
  return passed;
}

// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)

}  // namespace ebm::nonlocal
