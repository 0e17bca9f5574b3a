// The backward kernel of a non-local block: see nonlocal_block.cuh. For nvcc only.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/device/launch.cuh"
#include "cuda/nn/gpu/nonlocal_tile.cuh"

namespace ebm::nonlocal {

// An image's argmax are ints. NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)

__device__ __forceinline__ auto log_sums_of(const Sizes& sizes, const BackwardRoom& at,
                                            const float* from, Four* shared) {
  return Part{sizes.pixels(), [=, &sizes](int row) { return from[sizes.pixel_of_row(row)]; },
              [=, &at](int row, float value) {
                reinterpret_cast<float*>(shared + at.log_sums)[row] = value;
              }};
}

/// K and V, less the first, and K transposed; and where they were pooled.
template <class T>
__device__ __forceinline__ auto keys_and_values(const Sizes& sizes, const BackwardRoom& at,
                                                const T* pooled, const std::uint8_t* argmax,
                                                Four* shared) {
  struct Item {
    Four values;
    Four first;
    Pack<std::uint8_t, 4> winners;
  };
  const auto load = [=, &sizes](int item) {
    return Item{load_four(pooled + 4 * item), load_four(pooled + 4 * (item % sizes.fours())),
                reinterpret_cast<const Pack<std::uint8_t, 4>*>(argmax)[item]};
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
      reinterpret_cast<float*>(shared + at.transposed_keys + row * sizes.key_stride())[window] =
          values.v[j];
    }
  };
  return Part{sizes.windows * sizes.fours(), load, store};
}

/// The gradient of A V.
__device__ inline void projection_backward(const Sizes& sizes, const BackwardRoom& at,
                                           Four* shared) {
  for_each_four(sizes.windows, sizes.half_fours, [&](int window, int four) {
    Tile tile{};
    add_products(shared + at.dy + window * sizes.stride(), sizes.windows * sizes.stride(),
                 shared + at.projection_weights + four * sizes.stride(),
                 sizes.half_fours * sizes.stride(), sizes.fours(), tile);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      shared[at.attended_gradient + (place * sizes.windows + window) * sizes.half_stride() + four] =
          rounded<float>(tile[place]);
    }
  });
}

/// Some rows of the attention A and of its scores' gradient, A ∘ (dA − Σ_j A dA), which follows it.
__device__ inline void attend_backward(const Sizes& sizes, const BackwardRoom& at, int begin,
                                       int rows, Four* shared) {
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
        weights[i][j] = std::exp2(weights[i][j] * kLog2E - log_sum);
      }
    }
    Tile slopes{};
    products(at.attended_gradient, at.values, slopes);
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
                               T* qkv_gradient, Four* shared) {
  const int step = rows / 4;
  for_each_four(step, sizes.half_fours, [&](int group, int four) {
    Tile tile{};
    add_products(shared + at.dy + (rows + group) * sizes.key_stride(), step * sizes.key_stride(),
                 shared + at.transposed_keys + four * sizes.key_stride(),
                 sizes.half_fours * sizes.key_stride(), sizes.key_fours, tile);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = begin + group + i * step;
      const Four values = rounded<float>(tile[i]);
      shared[at.query_gradient + row * sizes.half_stride() + four] = values;
      store_four(qkv_gradient + sizes.pixel_of_row(row) * 3 * sizes.half + 4 * four, values);
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
__device__ inline void key_gradient(const Sizes& sizes, const BackwardRoom& at, int begin, int rows,
                                    Four* shared) {
  const int tiles = sizes.key_fours * sizes.fours();
  const int whole = round_up(4 * tiles, static_cast<int>(kWarp));
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
        shared + (of_keys ? at.queries + four : at.attended_gradient + four - sizes.half_fours) +
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
                               T* qkv_gradient) {
  const auto* const winners = reinterpret_cast<const Pack<std::uint8_t, 4>*>(shared + at.winners);
  for_each_four(sizes.windows, sizes.fours(), [&](int window, int four) {
    const Four gradient = shared[at.key_gradient + window * odd(sizes.fours()) + four];
    const Pack<std::uint8_t, 4> winner = winners[window * sizes.fours() + four];
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      store_four(qkv_gradient + sizes.pixel(place, window) * 3 * sizes.half + sizes.half + 4 * four,
                 unpool(gradient, winner, place));
    }
  });
}

/// dx = dy + the gradient through θ, φ and g.
template <class T>
__device__ void qkv_backward(const Sizes& sizes, const BackwardRoom& at, const T* dy,
                             const Four* shared, T* dx) {
  const auto* const winners = reinterpret_cast<const Pack<std::uint8_t, 4>*>(shared + at.winners);
  for_each_four(sizes.windows, sizes.fours(), [&](int window, int four) {
    const Four* const weights = shared + at.qkv_weights + four * sizes.qkv_stride();
    const int weight_step = sizes.fours() * sizes.qkv_stride();
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
      store_four(dx + out, sum(residual[place], rounded<float>(tile[place])));
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    backward_kernel(Sizes sizes, BackwardRoom at, NonlocalParameters parameters, const T* dy,
                    NonlocalMemory<T> memory, T* dx) {
  auto* const shared = dynamic_shared<Four>();
  const NonlocalMemory<T> own = of_image(memory, sizes);
  const std::int64_t first_value = std::int64_t{blockIdx.x} * sizes.pixels() * 2 * sizes.half;
  bring(window_pixels(sizes, sizes.fours(), dy + first_value, 2 * sizes.half, sizes.stride(),
                      shared + at.dy),
        window_pixels(sizes, sizes.half_fours, static_cast<const T*>(own.qkv), 3 * sizes.half,
                      sizes.half_stride(), shared + at.queries),
        keys_and_values(sizes, at, static_cast<const T*>(own.pooled), own.argmax, shared),
        transposed_weights(3 * sizes.half, sizes.fours(), parameters.qkv_weight, sizes.qkv_stride(),
                           shared + at.qkv_weights),
        transposed_weights(2 * sizes.half, sizes.half_fours, parameters.projection_weight,
                           sizes.stride(), shared + at.projection_weights),
        log_sums_of(sizes, at, own.log_sums, shared));
  __syncthreads();
  projection_backward(sizes, at, shared);
  const int rows = at.argmax * sizes.windows;
  for (int begin = 0; begin < sizes.pixels(); begin += rows) {
    __syncthreads();
    attend_backward(sizes, at, begin, rows, shared);
    __syncthreads();
    query_gradient(sizes, at, begin, rows, own.qkv_gradient, shared);
    key_gradient(sizes, at, begin, rows, shared);
  }
  __syncthreads();
  store_unpooled(sizes, at, shared, own.qkv_gradient);
  qkv_backward(sizes, at, dy + first_value, shared, dx + first_value);
}

// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)

}  // namespace ebm::nonlocal
