#include "cuda/nn/gpu/nonlocal_block.cuh"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/kernels/softmax.cuh"

// In shared memory all is float, in fours of channels. Pixels are in the order of their place in
// the window first: pixel `place` of window w is row place · M + w. So the four pixels of a window
// are rows M apart, and a thread that has them pools them in its registers.
//
// Every product is made of tiles of 4 × 4 values, a thread's each: 4 rows with 4 columns, each at
// one distance from the next. Rows are an odd number of fours apart, so that neighbouring threads'
// are on different banks.
//
// Keys and values are taken less those of the image's first window, as in attention.cu.

namespace ebm {
namespace {

constexpr int kThreads = 512;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

using Four = Pack<float, 4>;
using Tile = float[4][4];

EBM_HOST_DEVICE int odd(int fours) { return fours | 1; }

/// The numbers of a shape. Fours are those of a row.
struct Sizes {
  int windows;       // M, a power of two
  int windows_log2;
  int across_log2;   // of windows side by side
  int half;          // k
  int half_fours;    // k / 4
  int key_fours;     // M / 4

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
  EBM_HOST_DEVICE int embed_stride() const { return odd(3 * half_fours); }

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
  int x;              // N × 2k; then the attention, N × M
  int queries;        // N × k; then A V
  int keys;           // M × k
  int values;         // k × M, turned
  int first;          // 2k: K and V of the first window
  int embed_weights;  // 3k × 2k
  int merge_weights;  // 2k × k

  explicit ForwardRoom(const Sizes& sizes)
      : x(room.take(sizes.pixels() * std::max(sizes.stride(), sizes.key_stride()))),
        queries(room.take(sizes.pixels() * sizes.half_stride())),
        keys(room.take(sizes.windows * sizes.half_stride())),
        values(room.take(sizes.half * sizes.key_stride())),
        first(room.take(2 * sizes.half_fours)),
        embed_weights(room.take(3 * sizes.half * sizes.stride())),
        merge_weights(room.take(2 * sizes.half * sizes.half_stride())) {}
};

/// Where the backward pass's are. The attention and its gradient are there for `places` of the four
/// rows of pixels at a time.
struct BackwardRoom {
  SharedRoom room;
  int places;
  int dy;              // N × 2k; then the attention and its scores' gradient, each of so many rows
  int queries;         // N × k, as the next two
  int mixed_gradient;  // that of A V
  int query_gradient;
  int log_sums;       // N floats
  int keys;           // M × k, as the values
  int values;
  int turned_keys;    // k × M
  int key_gradient;   // M × 2k: those of K and V
  int winners;        // M × 2k bytes: a pooled value's place
  int embed_weights;  // 2k × 3k, turned
  int merge_weights;  // k × 2k, turned

  BackwardRoom(const Sizes& sizes, int places_at_a_time)
      : places(places_at_a_time),
        dy(room.take(std::max(sizes.pixels() * sizes.stride(),
                              2 * places * sizes.windows * sizes.key_stride()))),
        queries(room.take(sizes.pixels() * sizes.half_stride())),
        mixed_gradient(room.take(sizes.pixels() * sizes.half_stride())),
        query_gradient(room.take(sizes.pixels() * sizes.half_stride())),
        log_sums(room.take(sizes.windows)),
        keys(room.take(sizes.windows * sizes.half_stride())),
        values(room.take(sizes.windows * sizes.half_stride())),
        turned_keys(room.take(sizes.half * sizes.key_stride())),
        key_gradient(room.take(sizes.windows * odd(2 * sizes.half_fours))),
        winners(room.take((sizes.windows * 2 * sizes.half_fours + 3) / 4)),
        embed_weights(room.take(2 * sizes.half * sizes.embed_stride())),
        merge_weights(room.take(sizes.half * sizes.stride())) {}
};

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
__device__ __forceinline__ int spread(int row, int rows) {
  return row % 4 * (rows / 4) + row / 4;
}

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

/// The same, turned: columns become rows.
__device__ __forceinline__ auto turned_weights(int rows, int fours, const float* from, int stride,
                                               Four* to) {
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
    for (int i = 0; i < 4; ++i) {
      values[i] = combine(values[i], __shfl_xor_sync(kWholeWarp, values[i], distance));
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
  const int whole = (items + static_cast<int>(kWarp) - 1) / static_cast<int>(kWarp) *
                    static_cast<int>(kWarp);
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
  Pack<std::uint8_t, 4> places;
};

__device__ __forceinline__ PooledFour pool(const Four (&window)[4]) {
  PooledFour pooled;
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    pooled.values.v[c] = pool_maximum(
        {{window[0].v[c], window[1].v[c], window[2].v[c], window[3].v[c]}}, pooled.places.v[c]);
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

/// The parts of memory that are one image's.
template <class T>
__device__ NonlocalMemory<T> of_image(const NonlocalMemory<T>& memory, const Sizes& sizes) {
  const std::int64_t pixels = std::int64_t{blockIdx.x} * sizes.pixels();
  const std::int64_t windows = std::int64_t{blockIdx.x} * sizes.windows;
  return {memory.embedded + pixels * 3 * sizes.half,
          memory.pooled + windows * 2 * sizes.half,
          memory.places + windows * 2 * sizes.half,
          memory.log_sums + pixels,
          memory.mixed + pixels * sizes.half,
          memory.embedded_gradient + pixels * 3 * sizes.half};
}

// ---- Forward ----

/// Q, K and V from x.
template <class T>
__device__ void embed(const Sizes& sizes, const ForwardRoom& at, const float* bias,
                      const NonlocalMemory<T>& memory, Four* shared) {
  const int fours = 3 * sizes.half_fours;
  for_each_four(sizes.windows, fours, [&](int window, int four) {
    Tile tile;
    const Four biases = load_four(bias + 4 * four);
#pragma unroll
    for (auto& row : tile) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        row[j] = biases.v[j];
      }
    }
    add_products(shared + at.x + window * sizes.stride(), sizes.windows * sizes.stride(),
                 shared + at.embed_weights + four * sizes.stride(), fours * sizes.stride(),
                 sizes.fours(), tile);
    const Four pixels[4] = {rounded<T>(tile[0]), rounded<T>(tile[1]), rounded<T>(tile[2]),
                            rounded<T>(tile[3])};
    if (four < sizes.half_fours) {
#pragma unroll
      for (int place = 0; place < 4; ++place) {
        shared[at.queries + (place * sizes.windows + window) * sizes.half_stride() + four] =
            pixels[place];
        store_four(memory.embedded + sizes.pixel(place, window) * 3 * sizes.half + 4 * four,
                   pixels[place]);
      }
      return;
    }
    const PooledFour pooled = pool(pixels);
    const int channel_four = four - sizes.half_fours;  // of K and V side by side
    const int out = (window * sizes.fours() + channel_four) * 4;
    store_four(memory.pooled + out, pooled.values);
    *reinterpret_cast<Pack<std::uint8_t, 4>*>(memory.places + out) = pooled.places;
    if (window == 0) {
      shared[at.first + channel_four] = pooled.values;
    }
    if (channel_four < sizes.half_fours) {
      shared[at.keys + window * sizes.half_stride() + channel_four] = pooled.values;
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int row = (j - 1) * sizes.half_fours + channel_four;  // 4 (four − k/4) + j, spread
        reinterpret_cast<float*>(shared + at.values + row * sizes.key_stride())[window] =
            pooled.values.v[j];
      }
    }
  });
}

/// Keys and values less the first.
__device__ void centre(const Sizes& sizes, const ForwardRoom& at, Four* shared) {
  for_each_four(sizes.windows, sizes.half_fours, [&](int window, int four) {
    Four& key = shared[at.keys + window * sizes.half_stride() + four];
    key = difference(key, shared[at.first + four]);
    const Four first = shared[at.first + sizes.half_fours + four];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = j * sizes.half_fours + four;
      reinterpret_cast<float*>(shared + at.values + row * sizes.key_stride())[window] -= first.v[j];
    }
  });
}

/// A = softmax(Q Kᵀ), where x was.
__device__ void attend(const Sizes& sizes, const ForwardRoom& at, float* log_sums, Four* shared) {
  for_each_row_group(sizes, sizes.windows, [&](int window, int lane, bool owns) {
    Tile tile{};
    add_products(shared + at.queries + window * sizes.half_stride(),
                 sizes.windows * sizes.half_stride(),
                 shared + at.keys + lane * sizes.half_stride(),
                 sizes.key_fours * sizes.half_stride(), sizes.half_fours, tile);
    float highest[4];
    float sums[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      highest[i] = kLowest;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        highest[i] = larger(highest[i], tile[i][j]);
      }
    }
    combine_lanes(sizes.key_fours, larger, highest);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      sums[i] = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        tile[i][j] = exp_nonpositive(tile[i][j] - highest[i]);
        sums[i] += tile[i][j];
      }
    }
    combine_lanes(sizes.key_fours, added, sums);
    if (!owns) {
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float share = 1 / sums[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        tile[i][j] *= share;
      }
      if (lane == 0) {
        log_sums[sizes.pixel(i, window)] = highest[i] + std::log(sums[i]);
      }
    }
    store_attention(sizes, tile, window, sizes.windows, lane, shared + at.x);
  });
}

/// A V, where Q was.
template <class T>
__device__ void mix(const Sizes& sizes, const ForwardRoom& at, T* mixed, Four* shared) {
  for_each_four(sizes.windows, sizes.half_fours, [&](int window, int four) {
    Tile tile{};
    add_products(shared + at.x + window * sizes.key_stride(), sizes.windows * sizes.key_stride(),
                 shared + at.values + four * sizes.key_stride(),
                 sizes.half_fours * sizes.key_stride(), sizes.key_fours, tile);
    const Four first = shared[at.first + sizes.half_fours + four];
#pragma unroll
    for (int place = 0; place < 4; ++place) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        tile[place][j] += first.v[j];
      }
      const Four values = rounded<T>(tile[place]);
      shared[at.queries + (place * sizes.windows + window) * sizes.half_stride() + four] = values;
      store_four(mixed + sizes.pixel(place, window) * sizes.half + 4 * four, values);
    }
  });
}

/// y = x + W(A V).
template <class T>
__device__ void merge(const Sizes& sizes, const ForwardRoom& at, const float* bias, const T* x,
                      const Four* shared, T* y) {
  for_each_four(sizes.windows, sizes.fours(), [&](int window, int four) {
    const Four biases = load_four(bias + 4 * four);
    Four residual[4];
    Tile tile;
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      residual[place] = load_four(x + sizes.pixel(place, window) * 2 * sizes.half + 4 * four);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        tile[place][j] = biases.v[j];
      }
    }
    add_products(shared + at.queries + window * sizes.half_stride(),
                 sizes.windows * sizes.half_stride(),
                 shared + at.merge_weights + four * sizes.half_stride(),
                 sizes.fours() * sizes.half_stride(), sizes.half_fours, tile);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const int out = sizes.pixel(place, window) * 2 * sizes.half + 4 * four;
      const auto& row = tile[place];
      store_four(y + out, sum(residual[place], Four{{row[0], row[1], row[2], row[3]}}));
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    nonlocal_forward_kernel(Sizes sizes, ForwardRoom at, NonlocalParameters parameters, const T* x,
                            NonlocalMemory<T> memory, T* y) {
  auto* const shared = dynamic_shared<Four>();
  const NonlocalMemory<T> own = of_image(memory, sizes);
  const std::int64_t first_value = std::int64_t{blockIdx.x} * sizes.pixels() * 2 * sizes.half;
  bring(window_pixels(sizes, sizes.fours(), x + first_value, 2 * sizes.half, sizes.stride(),
                      shared + at.x),
        weights(3 * sizes.half, sizes.fours(), parameters.embed_weight, sizes.stride(),
                shared + at.embed_weights),
        weights(2 * sizes.half, sizes.half_fours, parameters.merge_weight, sizes.half_stride(),
                shared + at.merge_weights));
  __syncthreads();
  embed(sizes, at, parameters.embed_bias, own, shared);
  __syncthreads();
  centre(sizes, at, shared);
  __syncthreads();
  attend(sizes, at, own.log_sums, shared);
  __syncthreads();
  mix(sizes, at, own.mixed, shared);
  __syncthreads();
  merge(sizes, at, parameters.merge_bias, x + first_value, shared, y + first_value);
}

// ---- Backward ----

__device__ __forceinline__ auto log_sums_of(const Sizes& sizes, const BackwardRoom& at,
                                            const float* from, Four* shared) {
  return Part{sizes.pixels(), [=, &sizes](int row) { return from[sizes.pixel_of_row(row)]; },
              [=, &at](int row, float value) {
                reinterpret_cast<float*>(shared + at.log_sums)[row] = value;
              }};
}

/// K and V, less the first, and K turned; and where they were pooled.
template <class T>
__device__ __forceinline__ auto keys_and_values(const Sizes& sizes, const BackwardRoom& at,
                                                const T* pooled, const std::uint8_t* places,
                                                Four* shared) {
  struct Item {
    Four values;
    Four first;
    Pack<std::uint8_t, 4> winners;
  };
  const auto load = [=, &sizes](int item) {
    return Item{load_four(pooled + 4 * item), load_four(pooled + 4 * (item % sizes.fours())),
                reinterpret_cast<const Pack<std::uint8_t, 4>*>(places)[item]};
  };
  const auto store = [=, &sizes, &at](int item, const Item& loaded) {
    const int window = item / sizes.fours();
    const int four = item - window * sizes.fours();
    reinterpret_cast<Pack<std::uint8_t, 4>*>(shared + at.winners)[item] = loaded.winners;
    const Four values = difference(loaded.values, loaded.first);
    if (four >= sizes.half_fours) {
      shared[at.values + window * sizes.half_stride() + four - sizes.half_fours] = values;
      return;
    }
    shared[at.keys + window * sizes.half_stride() + four] = values;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = j * sizes.half_fours + four;
      reinterpret_cast<float*>(shared + at.turned_keys + row * sizes.key_stride())[window] =
          values.v[j];
    }
  };
  return Part{sizes.windows * sizes.fours(), load, store};
}

/// The gradient of A V.
__device__ void merge_backward(const Sizes& sizes, const BackwardRoom& at, Four* shared) {
  for_each_four(sizes.windows, sizes.half_fours, [&](int window, int four) {
    Tile tile{};
    add_products(shared + at.dy + window * sizes.stride(), sizes.windows * sizes.stride(),
                 shared + at.merge_weights + four * sizes.stride(),
                 sizes.half_fours * sizes.stride(), sizes.fours(), tile);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const auto& row = tile[place];
      shared[at.mixed_gradient + (place * sizes.windows + window) * sizes.half_stride() + four] =
          {{row[0], row[1], row[2], row[3]}};
    }
  });
}

/// Some rows of the attention A and of its scores' gradient, A ∘ (dA − Σ_j A dA), which follows it.
__device__ void attend_backward(const Sizes& sizes, const BackwardRoom& at, int begin, int rows,
                                Four* shared) {
  const int step = rows / 4;
  const auto* const log_sums = reinterpret_cast<const float*>(shared + at.log_sums);
  for_each_row_group(sizes, step, [&](int group, int lane, bool owns) {
    const auto products = [&](int matrix, int columns, Tile& tile) {
      add_products(shared + matrix + (begin + group) * sizes.half_stride(),
                   step * sizes.half_stride(), shared + columns + lane * sizes.half_stride(),
                   sizes.key_fours * sizes.half_stride(), sizes.half_fours, tile);
    };
    Tile weights{};
    products(at.queries, at.keys, weights);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float log_sum = log_sums[begin + group + i * step];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        weights[i][j] = exp_nonpositive(weights[i][j] - log_sum);
      }
    }
    Tile slopes{};
    products(at.mixed_gradient, at.values, slopes);
    float means[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      means[i] = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        means[i] += weights[i][j] * slopes[i][j];
      }
    }
    combine_lanes(sizes.key_fours, added, means);
    if (!owns) {
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        slopes[i][j] = weights[i][j] * (slopes[i][j] - means[i]);
      }
    }
    store_attention(sizes, weights, group, step, lane, shared + at.dy);
    store_attention(sizes, slopes, group, step, lane, shared + at.dy + rows * sizes.key_stride());
  });
}

/// The gradient of those rows of Q.
template <class T>
__device__ void query_gradient(const Sizes& sizes, const BackwardRoom& at, int begin, int rows,
                               T* embedded_gradient, Four* shared) {
  const int step = rows / 4;
  for_each_four(step, sizes.half_fours, [&](int group, int four) {
    Tile tile{};
    add_products(shared + at.dy + (rows + group) * sizes.key_stride(), step * sizes.key_stride(),
                 shared + at.turned_keys + four * sizes.key_stride(),
                 sizes.half_fours * sizes.key_stride(), sizes.key_fours, tile);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = begin + group + i * step;
      const Four values{{tile[i][0], tile[i][1], tile[i][2], tile[i][3]}};
      shared[at.query_gradient + row * sizes.half_stride() + four] = values;
      store_four(embedded_gradient + sizes.pixel_of_row(row) * 3 * sizes.half + 4 * four, values);
    }
  });
}

/// Of four neighbouring lanes, lane l gets row l of the sum of their tiles.
__device__ __forceinline__ Four add_four_lanes(const Tile& tile, int lane) {
  const bool second = (lane & 1) != 0;
  const bool upper = (lane & 2) != 0;
  float rows[2][4];  // 0 and 1, or 2 and 3
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float kept = upper ? tile[2 + i][j] : tile[i][j];
      const float given = upper ? tile[i][j] : tile[2 + i][j];
      rows[i][j] = kept + __shfl_xor_sync(kWholeWarp, given, 2);
    }
  }
  Four row;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const float kept = second ? rows[1][j] : rows[0][j];
    const float given = second ? rows[0][j] : rows[1][j];
    row.v[j] = kept + __shfl_xor_sync(kWholeWarp, given, 1);
  }
  return row;
}

/// What those rows add to the gradients of K and V: four keys and four channels are the work of
/// four neighbouring lanes, each with every fourth row.
__device__ void key_gradient(const Sizes& sizes, const BackwardRoom& at, int begin, int rows,
                             Four* shared) {
  const int tiles = sizes.key_fours * sizes.fours();
  const int whole = (4 * tiles + static_cast<int>(kWarp) - 1) / static_cast<int>(kWarp) *
                    static_cast<int>(kWarp);
#pragma unroll 1
  for (auto item = static_cast<int>(threadIdx.x); item < whole; item += kThreads) {
    const int lane = item % 4;
    const int own = min(item / 4, tiles - 1);
    const int key_four = own / sizes.fours();
    const int four = own - key_four * sizes.fours();  // of K and V side by side
    const bool of_keys = four < sizes.half_fours;
    const Four* const attention =
        shared + at.dy + ((of_keys ? rows : 0) + lane) * sizes.key_stride() + key_four;
    const Four* const factor =
        shared + (of_keys ? at.queries + four : at.mixed_gradient + four - sizes.half_fours) +
        (begin + lane) * sizes.half_stride();
    Tile tile{};
    add_outer_products(attention, 4 * sizes.key_stride(), factor, 4 * sizes.half_stride(), rows / 4,
                       tile);
    const Four added_row = add_four_lanes(tile, lane);
    if (item < 4 * tiles) {
      Four& to = shared[at.key_gradient + (4 * key_four + lane) * odd(sizes.fours()) + four];
      to = begin == 0 ? added_row : sum(to, added_row);
    }
  }
}

/// The gradients of φ and g.
template <class T>
__device__ void store_unpooled(const Sizes& sizes, const BackwardRoom& at, const Four* shared,
                               T* embedded_gradient) {
  const auto* const winners = reinterpret_cast<const Pack<std::uint8_t, 4>*>(shared + at.winners);
  for_each_four(sizes.windows, sizes.fours(), [&](int window, int four) {
    const Four gradient = shared[at.key_gradient + window * odd(sizes.fours()) + four];
    const Pack<std::uint8_t, 4> winner = winners[window * sizes.fours() + four];
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      store_four(embedded_gradient + sizes.pixel(place, window) * 3 * sizes.half + sizes.half +
                     4 * four,
                 unpool(gradient, winner, place));
    }
  });
}

/// dx = dy + the gradient through θ, φ and g.
template <class T>
__device__ void embed_backward(const Sizes& sizes, const BackwardRoom& at, const T* dy,
                               const Four* shared, T* dx) {
  const auto* const winners = reinterpret_cast<const Pack<std::uint8_t, 4>*>(shared + at.winners);
  for_each_four(sizes.windows, sizes.fours(), [&](int window, int four) {
    const Four* const weights = shared + at.embed_weights + four * sizes.embed_stride();
    const int weight_step = sizes.fours() * sizes.embed_stride();
    Four residual[4];
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      residual[place] = load_four(dy + sizes.pixel(place, window) * 2 * sizes.half + 4 * four);
    }
    Tile tile{};
    add_products(shared + at.query_gradient + window * sizes.half_stride(),
                 sizes.windows * sizes.half_stride(), weights, weight_step, sizes.half_fours, tile);
#pragma unroll 2
    for (int f = 0; f < sizes.fours(); ++f) {
      const Four gradient = shared[at.key_gradient + window * odd(sizes.fours()) + f];
      const Pack<std::uint8_t, 4> winner = winners[window * sizes.fours() + f];
      Four columns[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        columns[j] = weights[j * weight_step + sizes.half_fours + f];
      }
#pragma unroll
      for (int place = 0; place < 4; ++place) {
        const Four passed = unpool(gradient, winner, place);
#pragma unroll
        for (int c = 0; c < 4; ++c) {
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            tile[place][j] += passed.v[c] * columns[j].v[c];
          }
        }
      }
    }
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const int out = sizes.pixel(place, window) * 2 * sizes.half + 4 * four;
      const auto& row = tile[place];
      store_four(dx + out, sum(residual[place], Four{{row[0], row[1], row[2], row[3]}}));
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    nonlocal_backward_kernel(Sizes sizes, BackwardRoom at, NonlocalParameters parameters,
                             const T* dy, NonlocalMemory<T> memory, T* dx) {
  auto* const shared = dynamic_shared<Four>();
  const NonlocalMemory<T> own = of_image(memory, sizes);
  const std::int64_t first_value = std::int64_t{blockIdx.x} * sizes.pixels() * 2 * sizes.half;
  bring(window_pixels(sizes, sizes.fours(), dy + first_value, 2 * sizes.half, sizes.stride(),
                      shared + at.dy),
        window_pixels(sizes, sizes.half_fours, static_cast<const T*>(own.embedded), 3 * sizes.half,
                      sizes.half_stride(), shared + at.queries),
        keys_and_values(sizes, at, static_cast<const T*>(own.pooled), own.places, shared),
        turned_weights(3 * sizes.half, sizes.fours(), parameters.embed_weight, sizes.embed_stride(),
                       shared + at.embed_weights),
        turned_weights(2 * sizes.half, sizes.half_fours, parameters.merge_weight, sizes.stride(),
                       shared + at.merge_weights),
        log_sums_of(sizes, at, own.log_sums, shared));
  __syncthreads();
  merge_backward(sizes, at, shared);
  const int rows = at.places * sizes.windows;
  for (int begin = 0; begin < sizes.pixels(); begin += rows) {
    __syncthreads();
    attend_backward(sizes, at, begin, rows, shared);
    __syncthreads();
    query_gradient(sizes, at, begin, rows, own.embedded_gradient, shared);
    key_gradient(sizes, at, begin, rows, shared);
  }
  __syncthreads();
  store_unpooled(sizes, at, shared, own.embedded_gradient);
  embed_backward(sizes, at, dy + first_value, shared, dx + first_value);
}

std::int64_t most_shared_bytes() {
  int device = 0;
  int bytes = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  EBM_CHECK_CUDA(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  return bytes;
}

/// With as much of the attention at a time as there is room for.
BackwardRoom backward_room(const Sizes& sizes) {
  const std::int64_t most = most_shared_bytes();
  for (const int places : {4, 2}) {
    if (const BackwardRoom at(sizes, places); at.room.bytes() <= most) {
      return at;
    }
  }
  return {sizes, 1};
}

template <class... Parameters, class... Arguments>
void launch_images(const CudaStream& stream, std::int64_t images, const SharedRoom& room,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  const std::int64_t bytes = room.bytes();
  EBM_CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(bytes)));
  launch_kernel(stream, static_cast<unsigned>(images), kThreads, static_cast<std::size_t>(bytes),
                kernel, arguments...);
}

}  // namespace

bool nonlocal_fits_a_kernel(const NonlocalShape& shape) {
  constexpr int kMostWindows = 4 * static_cast<int>(kWarp);  // a row's scores are a warp's
  constexpr int kMostHalf = 1024;                            // long before the memory's end
  const std::int64_t windows = std::int64_t{shape.height / 2} * (shape.width / 2);
  if (shape.half % 4 != 0 || shape.half > kMostHalf || windows < 4 || windows > kMostWindows ||
      !std::has_single_bit(static_cast<unsigned>(windows))) {
    return false;
  }
  const Sizes sizes(shape);
  return ForwardRoom(sizes).room.bytes() <= most_shared_bytes() &&
         backward_room(sizes).room.bytes() <= most_shared_bytes();
}

template <class T>
void nonlocal_forward(const CudaStream& stream, const NonlocalShape& shape,
                      const NonlocalParameters& parameters, const T* x,
                      const NonlocalMemory<T>& memory, T* y) {
  const Sizes sizes(shape);
  const ForwardRoom at(sizes);
  launch_images(stream, shape.images, at.room, nonlocal_forward_kernel<T>, sizes, at, parameters, x,
                memory, y);
}

template <class T>
void nonlocal_backward(const CudaStream& stream, const NonlocalShape& shape,
                       const NonlocalParameters& parameters, const T* dy,
                       const NonlocalMemory<T>& memory, T* dx) {
  const Sizes sizes(shape);
  const BackwardRoom at = backward_room(sizes);
  launch_images(stream, shape.images, at.room, nonlocal_backward_kernel<T>, sizes, at, parameters,
                dy, memory, dx);
}

template void nonlocal_forward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                               const float*, const NonlocalMemory<float>&, float*);
template void nonlocal_forward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                               const Bfloat16*, const NonlocalMemory<Bfloat16>&, Bfloat16*);
template void nonlocal_backward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                                const float*, const NonlocalMemory<float>&, float*);
template void nonlocal_backward(const CudaStream&, const NonlocalShape&, const NonlocalParameters&,
                                const Bfloat16*, const NonlocalMemory<Bfloat16>&, Bfloat16*);

}  // namespace ebm
