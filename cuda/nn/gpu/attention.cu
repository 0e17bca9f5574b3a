#include "cuda/nn/gpu/attention.cuh"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "cuda/base/ceil_div.h"
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/kernels/softmax.cuh"
#include "cuda/nn/gpu/attention_tile.cuh"

// Keys and values are taken less those of their image's first pixel, K' and V'. A constant added to
// all keys, or to all values, changes neither A nor the gradients of Q and K; but its rounding
// does: where pixels are alike, as neighbours are, scores are a large constant and small
// differences, and so is dA.

namespace ebm {
namespace {

constexpr int kQueryWarps = 4;
constexpr int kKeyWarps = 8;  // keys are a quarter as many rows: more warps for each

// Columns that a warp takes at a time, which is independent work: as much as registers have room
// for.
constexpr int kForwardColumns = 4;
constexpr int kGradientColumns = 2;
static_assert(kTileStep % kForwardColumns == 0 && kTileStep % kGradientColumns == 0);

constexpr float kLowest = -std::numeric_limits<float>::infinity();

/// The matrices of one image.
template <class T>
struct ImageRows {
  PixelRows<const T> queries;
  PixelRows<const T> keys;
  PixelRows<const T> values;
};

template <class T>
__device__ ImageRows<T> image_rows(const T* qkv, const T* pooled, std::int64_t image,
                                   std::int64_t queries, std::int64_t keys, int channels) {
  const T* pixels = pooled + image * keys * 2 * channels;
  return {{qkv + image * queries * 3 * channels, 3 * channels, channels},
          {pixels, 2 * channels, channels},
          {pixels + channels, 2 * channels, channels}};
}

/// exp(score − highest) and their sum, of columns seen so far: online softmax (Milakov and
/// Gimelshein 2018).
struct RunningSum {
  float highest = kLowest;
  float sum = 0;

  /// Makes room for scores; what was weighted so far is to be multiplied by the result.
  template <int N>
  __device__ float raise(const float (&scores)[N]) {
    const float before = highest;
#pragma unroll
    for (int n = 0; n < N; ++n) {
      highest = scores[n] > highest ? scores[n] : highest;
    }
    const float factor = exp_nonpositive(before - highest);
    sum *= factor;
    return factor;
  }
};

/// What the block's warps found for a row, together; the calling warp's weights are to be
/// multiplied by `share`.
struct WholeSum {
  float log_sum;
  float share;
};

__device__ WholeSum join_warps(const RunningSum& running) {
  __shared__ float highests[kQueryWarps][kWarp];
  __shared__ float sums[kQueryWarps][kWarp];
  highests[threadIdx.y][threadIdx.x] = running.highest;
  sums[threadIdx.y][threadIdx.x] = running.sum;
  __syncthreads();
  float highest = kLowest;
  for (const auto& warp : highests) {
    highest = warp[threadIdx.x] > highest ? warp[threadIdx.x] : highest;
  }
  float sum = 0;
  for (int warp = 0; warp < kQueryWarps; ++warp) {
    sum += sums[warp][threadIdx.x] * exp_nonpositive(highests[warp][threadIdx.x] - highest);
  }
  return {highest + std::log(sum), exp_nonpositive(running.highest - highest) / sum};
}

/// A row's products with N columns.
template <int C, int N>
__device__ __forceinline__ void multiply(const AttentionDivision<C>& division,
                                         const float (&row)[C], const Four<float>* columns,
                                         float (&products)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) {
    products[n] = dot(row, columns + n * division.column_fours());
  }
  add_lanes(division.lanes(), products);
}

/// Scores from `count` on are of no column: their weights are to be 0.
template <int N>
__device__ __forceinline__ void mask(int count, float (&scores)[N]) {
#pragma unroll
  for (int n = 0; n < N; ++n) {
    scores[n] = n < count ? scores[n] : kLowest;
  }
}

/// Rows are queries, columns keys.
template <class T, int C>
__global__ void __launch_bounds__(kWarp* kQueryWarps, 2)
    attention_forward_kernel(AttentionDivision<C> division, int channels, const T* qkv,
                             const T* pooled, T* attended, float* log_sums) {
  const AttentionPlace place(division);
  const auto image =
      image_rows(qkv, pooled, place.image, division.rows, division.columns, channels);
  auto* const tile = dynamic_shared<Four<float>>();
  const Four<float>* const own = tile + place.lane * division.lane_fours();
  const int first_channel = place.lane * C;
  float query[C];
  load_channels(image.queries, place.row, first_channel, query);

  RunningSum running;
  float sum[C]{};  // Σ exp(score − highest) V'
  for (int begin = 0; begin < division.columns; begin += division.tile) {
    const int count = min(division.tile, division.columns - begin);
    load_tile(division, CentredRows<const T>{image.keys}, CentredRows<const T>{image.values}, begin,
              count, tile);
    for (int n = kForwardColumns * place.warp; n < count; n += kForwardColumns * kQueryWarps) {
      const Four<float>* const columns = own + n * division.column_fours();
      float scores[kForwardColumns];
      multiply(division, query, columns, scores);
      mask(count - n, scores);
      const float factor = running.raise(scores);
#pragma unroll
      for (int c = 0; c < C; ++c) {
        sum[c] *= factor;
      }
#pragma unroll
      for (int i = 0; i < kForwardColumns; ++i) {
        const float weight = exp_nonpositive(scores[i] - running.highest);
        running.sum += weight;
        add_multiple(weight, columns + i * division.column_fours() + division.kFours, sum);
      }
    }
  }

  const WholeSum whole = join_warps(running);
#pragma unroll
  for (int c = 0; c < C; ++c) {
    sum[c] *= whole.share;
  }
  const std::int64_t pixel = place.image * division.rows + place.row;
  if (place.owns && place.warp == 0 && place.lane == 0) {
    log_sums[pixel] = whole.log_sum;
  }
  const PixelRows<T> result{attended, channels, channels};
  add_warps<kQueryWarps>(sum, tile, [&](int i, Four<float> total) {
    const Four<float> first = image.values.load(0, first_channel + 4 * i);
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      total.v[c] += first.v[c];
    }
    if (place.owns) {
      result.store(pixel, first_channel + 4 * i, total);
    }
  });
}

/// Rows are queries, columns keys: the gradient of Q, and D_i = Σ_j A_ij dA'_ij for that of K. As D
/// is not known before the last key, dQ_i = Σ_j A_ij (dA'_ij − D_i) K'_j is summed in two parts.
template <class T, int C>
__global__ void __launch_bounds__(kWarp* kQueryWarps, 2)
    query_gradient_kernel(AttentionDivision<C> division, int channels, const T* qkv,
                          const T* pooled, const float* log_sums, const T* attended_gradient,
                          float* means, T* qkv_gradient) {
  const AttentionPlace place(division);
  const auto image =
      image_rows(qkv, pooled, place.image, division.rows, division.columns, channels);
  const std::int64_t pixel = place.image * division.rows + place.row;
  auto* const tile = dynamic_shared<Four<float>>();
  const Four<float>* const own = tile + place.lane * division.lane_fours();
  const int first_channel = place.lane * C;
  float query[C];
  float gradient[C];
  load_channels(image.queries, place.row, first_channel, query);
  load_channels(PixelRows<const T>{attended_gradient, channels, channels}, pixel, first_channel,
                gradient);
  const float log_sum = log_sums[pixel];

  float mean = 0;       // D
  float weighted[C]{};  // Σ A dA' K'
  float average[C]{};   // Σ A K'
  for (int begin = 0; begin < division.columns; begin += division.tile) {
    const int count = min(division.tile, division.columns - begin);
    load_tile(division, CentredRows<const T>{image.keys}, CentredRows<const T>{image.values}, begin,
              count, tile);
    for (int n = kGradientColumns * place.warp; n < count; n += kGradientColumns * kQueryWarps) {
      const Four<float>* const columns = own + n * division.column_fours();
      float scores[kGradientColumns];
      float slopes[kGradientColumns];  // dA'
      multiply(division, query, columns, scores);
      multiply(division, gradient, columns + division.kFours, slopes);
      mask(count - n, scores);
#pragma unroll
      for (int i = 0; i < kGradientColumns; ++i) {
        const float weight = exp_nonpositive(scores[i] - log_sum);
        const float slope = weight * slopes[i];
        mean += slope;
        add_multiple(slope, columns + i * division.column_fours(), weighted);
        add_multiple(weight, columns + i * division.column_fours(), average);
      }
    }
  }

  __shared__ float warp_means[kQueryWarps][kWarp];
  warp_means[threadIdx.y][threadIdx.x] = mean;
  __syncthreads();
  mean = 0;
  for (const auto& warp : warp_means) {
    mean += warp[threadIdx.x];
  }
  if (place.owns && place.warp == 0 && place.lane == 0) {
    means[pixel] = mean;
  }
#pragma unroll
  for (int c = 0; c < C; ++c) {
    weighted[c] -= mean * average[c];
  }
  add_warps<kQueryWarps>(weighted, tile, [&](int i, const Four<float>& total) {
    if (place.owns) {
      PixelRows<T>{qkv_gradient, 3 * channels, channels}.store(pixel, first_channel + 4 * i, total);
    }
  });
}

/// Rows are keys, columns queries: the gradients of K and V.
template <class T, int C>
__global__ void __launch_bounds__(kWarp* kKeyWarps, C <= 16 ? 2 : 1)
    key_gradient_kernel(AttentionDivision<C> division, int channels, const T* qkv, const T* pooled,
                        const float* log_sums, const T* attended_gradient, const float* means,
                        T* pooled_gradient) {
  const AttentionPlace place(division);
  const auto image =
      image_rows(qkv, pooled, place.image, division.columns, division.rows, channels);
  const std::int64_t first_query = place.image * division.columns;
  const PixelRows<const T> gradients{attended_gradient + first_query * channels, channels,
                                     channels};
  auto* const tile = dynamic_shared<Four<float>>();
  const Four<float>* const own = tile + place.lane * division.lane_fours();
  const int first_channel = place.lane * C;
  float key[C];
  float value[C];
  load_channels(CentredRows<const T>{image.keys}, place.row, first_channel, key);
  load_channels(CentredRows<const T>{image.values}, place.row, first_channel, value);

  float key_gradient[C]{};
  float value_gradient[C]{};
  for (int begin = 0; begin < division.columns; begin += division.tile) {
    const int count = min(division.tile, division.columns - begin);
    load_tile(division, image.queries, gradients, begin, count, tile);
#pragma unroll 1
    for (int n = place.warp; n < count; n += kKeyWarps) {
      const Four<float>* const query = own + n * division.column_fours();
      const Four<float>* const gradient = query + division.kFours;
      float products[2] = {dot(key, query), dot(value, gradient)};  // the score, dA'
      add_lanes(division.lanes(), products);
      const float weight = exp_nonpositive(products[0] - log_sums[first_query + begin + n]);
      const float slope = weight * (products[1] - means[first_query + begin + n]);
      add_multiple(slope, query, key_gradient);
      add_multiple(weight, gradient, value_gradient);
    }
  }

  const std::int64_t pixel = place.image * division.rows + place.row;
  const auto write_to = [&](T* to) {
    return [=](int i, const Four<float>& total) {
      if (place.owns) {
        PixelRows<T>{to, 2 * channels, channels}.store(pixel, first_channel + 4 * i, total);
      }
    };
  };
  add_warps<kKeyWarps>(key_gradient, tile, write_to(pooled_gradient));
  add_warps<kKeyWarps>(value_gradient, tile, write_to(pooled_gradient + channels));
}

/// Calls launch(C, log2 of the lanes of a row), C as a type: enough of both for all channels.
template <class Launch>
void with_channels_per_lane(std::int64_t channels, const Launch& launch) {
  if (channels <= 4) {
    launch(std::integral_constant<int, 4>(), 0);
  } else if (channels <= 8) {
    launch(std::integral_constant<int, 8>(), 0);
  } else if (channels <= 32) {
    launch(std::integral_constant<int, 16>(), channels <= 16 ? 0 : 1);
  } else if (channels <= kMostAttentionChannels) {
    const auto lanes = static_cast<unsigned>(ceil_div(channels, 32));
    launch(std::integral_constant<int, 32>(), static_cast<int>(std::bit_width(lanes - 1)));
  } else {
    throw std::invalid_argument("a non-local block of " + std::to_string(2 * channels) +
                                " channels: on CUDA they may be up to " +
                                std::to_string(2 * kMostAttentionChannels));
  }
}

template <int C, class... Parameters, class... Arguments>
void launch_attention(const CudaStream& stream, std::int64_t images,
                      const AttentionDivision<C>& division, int warps,
                      void (*kernel)(Parameters...), const Arguments&... arguments) {
  const auto tile =
      static_cast<std::size_t>(division.tile) * static_cast<std::size_t>(division.column_fours());
  const auto sums = static_cast<std::size_t>(warps) * kWarp * AttentionDivision<C>::kFours;
  launch_kernel(stream, static_cast<unsigned>(images * division.blocks_per_image()),
                dim3(kWarp, static_cast<unsigned>(warps)),
                std::max(tile, sums) * sizeof(Four<float>), kernel, division, arguments...);
}

}  // namespace

template <class T>
void attention_forward(const CudaStream& stream, const AttentionShape& shape, const T* qkv,
                       const T* pooled, T* attended, float* log_sums) {
  with_channels_per_lane(shape.channels, [&](auto c, int lanes_log2) {
    const AttentionDivision<c()> queries(shape.queries, shape.keys, lanes_log2);
    launch_attention(stream, shape.images, queries, kQueryWarps, attention_forward_kernel<T, c()>,
                     static_cast<int>(shape.channels), qkv, pooled, attended, log_sums);
  });
}

template <class T>
void attention_backward(const CudaStream& stream, const AttentionShape& shape, const T* qkv,
                        const T* pooled, const float* log_sums, const T* attended_gradient,
                        float* workspace, T* qkv_gradient, T* pooled_gradient) {
  with_channels_per_lane(shape.channels, [&](auto c, int lanes_log2) {
    const auto channels = static_cast<int>(shape.channels);
    const AttentionDivision<c()> queries(shape.queries, shape.keys, lanes_log2);
    launch_attention(stream, shape.images, queries, kQueryWarps, query_gradient_kernel<T, c()>,
                     channels, qkv, pooled, log_sums, attended_gradient, workspace, qkv_gradient);
    const AttentionDivision<c()> keys(shape.keys, shape.queries, lanes_log2);
    launch_attention(stream, shape.images, keys, kKeyWarps, key_gradient_kernel<T, c()>, channels,
                     qkv, pooled, log_sums, attended_gradient, workspace, pooled_gradient);
  });
}

template void attention_forward(const CudaStream&, const AttentionShape&, const float*,
                                const float*, float*, float*);
template void attention_forward(const CudaStream&, const AttentionShape&, const Bfloat16*,
                                const Bfloat16*, Bfloat16*, float*);
template void attention_backward(const CudaStream&, const AttentionShape&, const float*,
                                 const float*, const float*, const float*, float*, float*, float*);
template void attention_backward(const CudaStream&, const AttentionShape&, const Bfloat16*,
                                 const Bfloat16*, const float*, const Bfloat16*, float*, Bfloat16*,
                                 Bfloat16*);

}  // namespace ebm
