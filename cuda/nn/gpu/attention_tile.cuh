// How the kernels of attention.cu divide an image among the threads of a block. For nvcc only.
//
// The result's pixels are rows, the pixels summed over are columns. A warp has 32 / lanes rows; of
// a row, each of `lanes` neighbouring lanes keeps C channels in registers. All warps of a block
// have the same rows and take turns with the columns, which pass through shared memory. Last, the
// warps' sums are added in their order.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "cuda/base/ceil_div.h"
#include "cuda/base/host_device.cuh"
#include "cuda/device/block_reduce.cuh"

namespace ebm {

/// Four neighbouring values, one access to memory.
template <class T>
struct alignas(4 * sizeof(T)) Four {
  T v[4];
};

/// A matrix of one image in the device's memory, in fours of channels: those beyond the last one
/// are 0 when read, and dropped when written.
template <class T>
struct PixelRows {
  T* data;
  std::int64_t stride;
  int channels;

  __device__ Four<float> load(std::int64_t row, int channel) const {
    const T* from = data + row * stride + channel;
    Four<float> result{};
    if (channels % 4 != 0) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        result.v[c] = channel + c < channels ? static_cast<float>(from[c]) : 0.0F;
      }
    } else if (channel < channels) {
      const auto four = *reinterpret_cast<const Four<std::remove_const_t<T>>*>(from);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        result.v[c] = static_cast<float>(four.v[c]);
      }
    }
    return result;
  }

  __device__ void store(std::int64_t row, int channel, const Four<float>& values) const {
    T* to = data + row * stride + channel;
    if (channels % 4 != 0) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        if (channel + c < channels) {
          to[c] = T(values.v[c]);
        }
      }
    } else if (channel < channels) {
      *reinterpret_cast<Four<T>*>(to) = {T(values.v[0]), T(values.v[1]), T(values.v[2]),
                                         T(values.v[3])};
    }
  }
};

/// Rows less the first one.
template <class T>
struct CentredRows {
  PixelRows<T> rows;

  __device__ Four<float> load(std::int64_t row, int channel) const {
    Four<float> result = rows.load(row, channel);
    const Four<float> first = rows.load(0, channel);
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      result.v[c] -= first.v[c];
    }
    return result;
  }
};

/// C channels of a row, from `channel` on.
template <int C, class Rows>
__device__ void load_channels(const Rows& rows, std::int64_t row, int channel, float (&to)[C]) {
#pragma unroll
  for (int i = 0; i < C / 4; ++i) {
    const Four<float> four = rows.load(row, channel + 4 * i);
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      to[4 * i + c] = four.v[c];
    }
  }
}

/// A tile's columns are rounded up to a multiple of this, with zeros.
inline constexpr int kTileStep = 4;
/// Shared memory for columns, of the 48 KiB that a block always gets.
inline constexpr int kColumnBytes = 32768;

template <int C>
struct AttentionDivision {
  /// In shared memory a lane finds C channels of both matrices of a column side by side, as fours.
  static constexpr int kFours = C / 4;

  int rows;
  int columns;
  int lanes_log2;
  int tile = 0;  ///< columns in shared memory at a time, a multiple of kTileStep

  AttentionDivision(std::int64_t row_count, std::int64_t column_count, int lanes_log2_)
      : rows(static_cast<int>(row_count)),
        columns(static_cast<int>(column_count)),
        lanes_log2(lanes_log2_) {
    const int most = kColumnBytes / static_cast<int>(sizeof(Four<float>)) / column_fours();
    const int groups = std::min(most / kTileStep, ceil_div(columns, kTileStep));
    tile = kTileStep * std::max(groups, 1);
  }

  EBM_HOST_DEVICE int lanes() const { return 1 << lanes_log2; }
  EBM_HOST_DEVICE int rows_per_block() const { return static_cast<int>(kWarp) >> lanes_log2; }
  EBM_HOST_DEVICE int blocks_per_image() const { return ceil_div(rows, rows_per_block()); }
  /// From one lane's to the next one's: 16 bytes between them keep them on different banks.
  EBM_HOST_DEVICE int lane_fours() const { return 2 * kFours + (lanes_log2 > 0 ? 1 : 0); }
  /// From one column to the next.
  EBM_HOST_DEVICE int column_fours() const { return lane_fours() << lanes_log2; }
};

/// One thread's place in it.
struct AttentionPlace {
  std::int64_t image;
  int row;    ///< the last one for threads past it, which help the others
  bool owns;  ///< false for those: what they have is not written
  int lane;   ///< of the row's
  int warp;   ///< of the block's

  template <int C>
  __device__ explicit AttentionPlace(const AttentionDivision<C>& division)
      : lane(static_cast<int>(threadIdx.x) & (division.lanes() - 1)),
        warp(static_cast<int>(threadIdx.y)) {
    const auto blocks = static_cast<unsigned>(division.blocks_per_image());
    image = blockIdx.x / blocks;
    row = static_cast<int>(blockIdx.x % blocks) * division.rows_per_block() +
          (static_cast<int>(threadIdx.x) >> division.lanes_log2);
    owns = row < division.rows;
    row = owns ? row : division.rows - 1;
  }
};

/// The block brings `count` columns of two matrices, from `begin` on, into shared memory, followed
/// by zeros up to a multiple of kTileStep.
template <int C, class Rows>
__device__ void load_tile(const AttentionDivision<C>& division, const Rows& first,
                          const Rows& second, int begin, int count, Four<float>* tile) {
  constexpr int kFours = AttentionDivision<C>::kFours;
  constexpr int kFoursLog2 = std::countr_zero(static_cast<unsigned>(kFours));
  const int fours_log2 = kFoursLog2 + division.lanes_log2;  // of one matrix's column
  const int padded = round_up(count, kTileStep);
  const auto threads = static_cast<int>(blockDim.x * blockDim.y);
  __syncthreads();  // the tile before has been used
  for (auto item = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
       item < padded << (fours_log2 + 1); item += threads) {
    const int four = item & ((1 << fours_log2) - 1);
    const int half = item >> fours_log2 & 1;
    const int column = item >> (fours_log2 + 1);
    const Rows rows = half == 0 ? first : second;
    const Four<float> value = column < count ? rows.load(begin + column, 4 * four) : Four<float>{};
    tile[column * division.column_fours() + (four >> kFoursLog2) * division.lane_fours() +
         half * kFours + (four & (kFours - 1))] = value;
  }
  __syncthreads();
}

/// Σ a_c b_c over the channels of one lane; b is in shared memory.
template <int C>
__device__ __forceinline__ float dot(const float (&a)[C], const Four<float>* b) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < C / 4; ++i) {
    const Four<float> four = b[i];
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      sum += a[4 * i + c] * four.v[c];
    }
  }
  return sum;
}

/// sum += factor · b.
template <int C>
__device__ __forceinline__ void add_multiple(float factor, const Four<float>* b, float (&sum)[C]) {
#pragma unroll
  for (int i = 0; i < C / 4; ++i) {
    const Four<float> four = b[i];
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      sum[4 * i + c] += factor * four.v[c];
    }
  }
}

/// The sum over the lanes of a row, on each of them, of n values.
template <int N>
__device__ __forceinline__ void add_lanes(int lanes, float (&values)[N]) {
  for (int distance = 1; distance < lanes; distance *= 2) {
#pragma unroll
    for (int n = 0; n < N; ++n) {
      values[n] += __shfl_xor_sync(kWholeWarp, values[n], distance);
    }
  }
}

/// write(i, Σ over the block's warps of the i-th four of `values`) once for every i of every lane.
/// `shared` has room for C floats of every thread.
template <int Warps, int C, class Write>
__device__ void add_warps(const float (&values)[C], Four<float>* shared, const Write& write) {
  constexpr int kFours = C / 4;
  const auto warp = static_cast<int>(threadIdx.y);
  const auto lane = static_cast<int>(threadIdx.x);
  __syncthreads();  // what was in `shared` has been used
#pragma unroll
  for (int i = 0; i < kFours; ++i) {
    shared[(i * Warps + warp) * static_cast<int>(kWarp) + lane] = {
        values[4 * i], values[4 * i + 1], values[4 * i + 2], values[4 * i + 3]};
  }
  __syncthreads();
  for (int i = warp; i < kFours; i += Warps) {
    Four<float> sum{};
#pragma unroll
    for (int w = 0; w < Warps; ++w) {
      const Four<float> four = shared[(i * Warps + w) * static_cast<int>(kWarp) + lane];
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        sum.v[c] += four.v[c];
      }
    }
    write(i, sum);
  }
}

}  // namespace ebm
