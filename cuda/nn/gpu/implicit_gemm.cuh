// Implicit GEMM: C = A·B, M × N of M × K and K × N, where A and B are gathered from memory as they
// are read: what all passes of a convolution are. A block has a tile of C, and takes K a K-tile at
// a time: its threads put what they need of A and B into shared memory, and each sums for 4 rows
// and 8 columns. A K-tile is summed on its own: thousands of terms one after the other would lose a
// digit that K-tiles keep. For nvcc only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/device/launch.cuh"
#include "cuda/device/packs.cuh"

namespace ebm {

/// The sizes of a product. K is split into groups, whose sums stay apart.
struct ProductSize {
  std::int64_t rows;
  int columns;
  std::int64_t k;
  std::int64_t k_per_group;

  EBM_HOST_DEVICE std::int64_t groups() const { return ceil_div(k, k_per_group); }
};

/// Where a value of A lies: the sum of a part that its row gives and one that its k gives. `row`
/// and `column` are of an image, which need not contain them; `offset` is in memory.
struct GatheredPlace {
  std::int64_t offset;
  int row;
  int column;

  EBM_HOST_DEVICE GatheredPlace operator+(const GatheredPlace& other) const {
    return {offset + other.offset, row + other.row, column + other.column};
  }
};

/// In no image, whatever is added; half of the least int, as two of them may be.
inline constexpr GatheredPlace kNowhere{.offset = 0, .row = -(1 << 30), .column = 0};

inline constexpr int kTileRows = 128;  // and threads of a block: each gathers one row of A
inline constexpr int kTileColumns = 32;
inline constexpr int kTileK = 32;
inline constexpr int kGathered = 8;              // reads that are under way at a time
inline constexpr int kPitch = kTileColumns + 4;  // rows of B on different banks, and on 16 bytes
inline constexpr std::size_t kTileBytes =
    kTileK * (sizeof(GatheredPlace) + sizeof(float) * (kTileRows + kPitch));
static_assert(kTileK % kGathered == 0);

/// `depth` values of one row of A, and zeros behind them up to a multiple of kGathered.
template <class Problem>
__device__ __forceinline__ void gather_row(const Problem& problem, const GatheredPlace& row,
                                           const GatheredPlace* places, int depth,
                                           float* column_of_tile) {
  for (int begin = 0; begin < depth; begin += kGathered) {
    float values[kGathered];
#pragma unroll
    for (int k = 0; k < kGathered; ++k) {
      values[k] = problem.a(row + places[begin + k]);
    }
#pragma unroll
    for (int k = 0; k < kGathered; ++k) {
      column_of_tile[(begin + k) * kTileRows] = values[k];
    }
  }
}

/// The same of the tile's columns of B. Neighbouring threads read neighbours in memory.
template <class Problem>
__device__ __forceinline__ void gather_columns(const Problem& problem, std::int64_t first,
                                               int depth, int first_column, float* tile) {
  const int columns = problem.size.columns - first_column;
#pragma unroll
  for (int i = 0; i < kTileK * kTileColumns; i += kTileRows) {
    const int at = i + static_cast<int>(threadIdx.x);
    const int k = Problem::kNeighboursAlongK ? at % kTileK : at / kTileColumns;
    const int column = Problem::kNeighboursAlongK ? at / kTileK : at % kTileColumns;
    const bool inside = k < depth && column < columns;
    tile[k * kPitch + column] = inside ? problem.b(first + k, first_column + column) : 0.0F;
  }
}

/// A Problem has a ProductSize `size`; place_of_row(row) and place_of_k(k) for those within
/// the size, and a(their sum), 0 for kNowhere; b(k, column); start(column), what the sums of 4
/// columns start from; and store(group, row, column, sums), which takes those of as many of them as
/// there are.
template <class Problem>
__global__ void __launch_bounds__(kTileRows, 4) implicit_gemm_kernel(Problem problem) {
  auto* const a = dynamic_shared<float>();
  float* const b = a + kTileK * kTileRows;
  auto* const places = reinterpret_cast<GatheredPlace*>(b + kTileK * kPitch);
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t first_row = std::int64_t{blockIdx.x} * kTileRows;
  const int first_column = static_cast<int>(blockIdx.y) * kTileColumns;
  const std::int64_t begin = std::int64_t{blockIdx.z} * problem.size.k_per_group;
  const std::int64_t end = std::min(problem.size.k, begin + problem.size.k_per_group);
  // A thread's rows are neighbours; its columns are two groups of 4, so that 4 threads store 64
  // neighbouring bytes.
  const int row = thread / 4 * 4;
  const int column = thread % 4 * 4;

  const GatheredPlace gathered =
      first_row + thread < problem.size.rows ? problem.place_of_row(first_row + thread) : kNowhere;
  const Floats<4> start[2] = {problem.start(first_column + column),
                              problem.start(first_column + kTileColumns / 2 + column)};
  Floats<4> sums[4][2];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    sums[i / 2][i % 2] = start[i % 2];
  }
  for (std::int64_t first = begin; first < end; first += kTileK) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kTileK, end - first));
    __syncthreads();  // the last K-tile's values have been used
    if (thread < kTileK) {
      places[thread] = thread < depth ? problem.place_of_k(first + thread) : kNowhere;
    }
    gather_columns(problem, first, depth, first_column, b);
    __syncthreads();
    gather_row(problem, gathered, places, depth, a + thread);
    __syncthreads();
    Floats<4> of_tile[4][2] = {};
    for (int k = 0; k < depth; ++k) {
      const Floats<4> left = load_pack<4>(a + k * kTileRows + row);
      const Floats<4> right[2] = {load_pack<4>(b + k * kPitch + column),
                                  load_pack<4>(b + k * kPitch + kTileColumns / 2 + column)};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          of_tile[i][j / 4].v[j % 4] += left.v[i] * right[j / 4].v[j % 4];
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        sums[i][j / 4].v[j % 4] += of_tile[i][j / 4].v[j % 4];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int first = first_column + half * (kTileColumns / 2) + column;
      if (first_row + row + i < problem.size.rows && first < problem.size.columns) {
        problem.store(blockIdx.z, first_row + row + i, first, sums[i][half]);
      }
    }
  }
}

/// Enqueues a product on a stream.
template <class Problem>
void implicit_gemm(const CudaStream& stream, const Problem& problem) {
  const ProductSize& size = problem.size;
  if (size.rows == 0 || size.columns == 0) {
    return;
  }
  const auto tiles = [](std::int64_t values, std::int64_t tile) {
    return static_cast<unsigned>(ceil_div(values, tile));
  };
  const dim3 blocks(tiles(size.rows, kTileRows), tiles(size.columns, kTileColumns),
                    static_cast<unsigned>(size.groups()));
  launch_kernel(stream, blocks, kTileRows, kTileBytes, implicit_gemm_kernel<Problem>, problem);
}

}  // namespace ebm
