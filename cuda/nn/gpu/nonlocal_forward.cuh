// The forward kernel of a non-local block: see nonlocal_block.cuh. For nvcc only.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "cuda/device/launch.cuh"
#include "cuda/nn/gpu/nonlocal_tile.cuh"

namespace ebm::nonlocal {

// An image's argmax are ints. NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)

/// Q, K and V from x.
template <class T>
__device__ void to_qkv(const Sizes& sizes, const ForwardRoom& at, const float* bias,
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
                 shared + at.qkv_weights + four * sizes.stride(), fours * sizes.stride(),
                 sizes.fours(), tile);
    const Four pixels[4] = {rounded<T>(tile[0]), rounded<T>(tile[1]), rounded<T>(tile[2]),
                            rounded<T>(tile[3])};
    if (four < sizes.half_fours) {
#pragma unroll
      for (int place = 0; place < 4; ++place) {
        shared[at.queries + (place * sizes.windows + window) * sizes.half_stride() + four] =
            pixels[place];
        store_four(memory.qkv + sizes.pixel(place, window) * 3 * sizes.half + 4 * four,
                   pixels[place]);
      }
      return;
    }
    const PooledFour pooled = pool(pixels);
    const int channel_four = four - sizes.half_fours;  // of K and V side by side
    const int out = (window * sizes.fours() + channel_four) * 4;
    store_four(memory.pooled + out, pooled.values);
    *reinterpret_cast<Pack<std::uint8_t, 4>*>(memory.argmax + out) = pooled.argmax;
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
__device__ inline void centre(const Sizes& sizes, const ForwardRoom& at, Four* shared) {
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
__device__ inline void attend(const Sizes& sizes, const ForwardRoom& at, float* log_sums,
                              Four* shared) {
  for_each_row_group(sizes, sizes.windows, [&](int window, int lane, bool owns) {
    Tile tile{};
    add_products(shared + at.queries + window * sizes.half_stride(),
                 sizes.windows * sizes.half_stride(), shared + at.keys + lane * sizes.half_stride(),
                 sizes.key_fours * sizes.half_stride(), sizes.half_fours, tile);
    float highest[4];
    float sums[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      highest[i] = -std::numeric_limits<float>::infinity();
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        highest[i] = larger(highest[i], tile[i][j]);
      }
    }
    combine_lanes(sizes.key_fours, larger, highest);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      highest[i] *= kLog2E;
      sums[i] = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        tile[i][j] = std::exp2(tile[i][j] * kLog2E - highest[i]);
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
        log_sums[sizes.pixel(i, window)] = highest[i] + std::log2(sums[i]);
      }
    }
    store_attention(sizes, tile, window, sizes.windows, lane, shared + at.x);
  });
}

/// A V, where Q was.
template <class T>
__device__ void mix(const Sizes& sizes, const ForwardRoom& at, T* attended, Four* shared) {
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
      store_four(attended + sizes.pixel(place, window) * sizes.half + 4 * four, values);
    }
  });
}

/// y = x + W(A V).
template <class T>
__device__ void project(const Sizes& sizes, const ForwardRoom& at, const float* bias, const T* x,
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
                 shared + at.projection_weights + four * sizes.half_stride(),
                 sizes.fours() * sizes.half_stride(), sizes.half_fours, tile);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const int out = sizes.pixel(place, window) * 2 * sizes.half + 4 * four;
      store_four(y + out, sum(residual[place], rounded<float>(tile[place])));
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    forward_kernel(Sizes sizes, ForwardRoom at, NonlocalParameters parameters, const T* x,
                   NonlocalMemory<T> memory, T* y) {
  auto* const shared = dynamic_shared<Four>();
  const NonlocalMemory<T> own = of_image(memory, sizes);
  const std::int64_t first_value = std::int64_t{blockIdx.x} * sizes.pixels() * 2 * sizes.half;
  bring(window_pixels(sizes, sizes.fours(), x + first_value, 2 * sizes.half, sizes.stride(),
                      shared + at.x),
        weights(3 * sizes.half, sizes.fours(), parameters.qkv_weight, sizes.stride(),
                shared + at.qkv_weights),
        weights(2 * sizes.half, sizes.half_fours, parameters.projection_weight, sizes.half_stride(),
                shared + at.projection_weights));
  __syncthreads();
  to_qkv(sizes, at, parameters.qkv_bias, own, shared);
  __syncthreads();
  centre(sizes, at, shared);
  __syncthreads();
  attend(sizes, at, own.log_sums, shared);
  __syncthreads();
  mix(sizes, at, own.attended, shared);
  __syncthreads();
  project(sizes, at, parameters.projection_bias, x + first_value, shared, y + first_value);
}

// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)

}  // namespace ebm::nonlocal
