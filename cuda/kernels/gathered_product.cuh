// C = A·B where A and B are gathered from memory as they are read: what all passes of a convolution
// are. A block has a tile of C, and takes the terms of its sums in turns: its threads put what they
// need of A and B into shared memory, and each sums for 4 rows and 8 columns. For nvcc only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/device/launch.cuh"
#include "cuda/device/packs.cuh"

namespace ebm {

/// The sizes of a product. Its terms are split into groups, whose sums stay apart.
struct ProductSize {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t terms;
  std::int64_t terms_per_group;

  EBM_HOST_DEVICE std::int64_t groups() const {
    return (terms + terms_per_group - 1) / terms_per_group;
  }
};

inline constexpr int kTileRows = 128;  // and threads of a block: each gathers one row of A
inline constexpr int kTileColumns = 32;
inline constexpr int kTileTerms = 32;
inline constexpr int kGathered = 8;              // reads that are under way at a time
inline constexpr int kPitch = kTileColumns + 4;  // rows of B on different banks, and on 16 bytes
inline constexpr std::size_t kTileBytes = sizeof(float) * kTileTerms * (kTileRows + kPitch);
static_assert(kTileTerms % kGathered == 0);

/// The terms [first, first + depth) of one row of A; zeros behind them.
template <class Walk>
__device__ __forceinline__ void gather_row(Walk walk, int depth, float* column_of_tile) {
  for (int begin = 0; begin < depth; begin += kGathered) {
    float values[kGathered];
#pragma unroll
    for (int k = 0; k < kGathered; ++k) {
      values[k] = begin + k < depth ? walk.next() : 0.0F;
    }
#pragma unroll
    for (int k = 0; k < kGathered; ++k) {
      column_of_tile[(begin + k) * kTileRows] = values[k];
    }
  }
}

/// The same terms of the tile's columns of B. Neighbouring threads read neighbours in memory.
template <class Problem>
__device__ __forceinline__ void gather_columns(const Problem& problem, std::int64_t first,
                                               int depth, std::int64_t first_column, float* tile) {
  for (int i = static_cast<int>(threadIdx.x); i < kTileTerms * kTileColumns; i += kTileRows) {
    const int term = Problem::kTermsAreNeighbours ? i % kTileTerms : i / kTileColumns;
    const int column = Problem::kTermsAreNeighbours ? i / kTileTerms : i % kTileColumns;
    const bool inside = term < depth && first_column + column < problem.size.columns;
    tile[term * kPitch + column] = inside ? problem.b(first + term, first_column + column) : 0.0F;
  }
}

/// A Problem has a ProductSize `size`; walk(row, term), whose next() is A's value there and goes on
/// to the next term, for any row; b(term, column); and store(group, row, column, sums), which takes
/// the sums of 4 columns, or of as many as there are.
template <class Problem>
__global__ void __launch_bounds__(kTileRows, 5) gathered_product_kernel(Problem problem) {
  float* const a = dynamic_shared<float>();
  float* const b = a + kTileTerms * kTileRows;
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t first_row = std::int64_t{blockIdx.x} * kTileRows;
  const std::int64_t first_column = std::int64_t{blockIdx.y} * kTileColumns;
  const std::int64_t begin = std::int64_t{blockIdx.z} * problem.size.terms_per_group;
  const std::int64_t end = std::min(problem.size.terms, begin + problem.size.terms_per_group);
  // A thread's rows are neighbours; its columns are two groups of 4, so that 4 threads store 64
  // neighbouring bytes.
  const int row = thread / 4 * 4;
  const int column = thread % 4 * 4;

  Floats<4> sums[4][2] = {};
  for (std::int64_t term = begin; term < end; term += kTileTerms) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kTileTerms, end - term));
    __syncthreads();  // the last turn's values have been used
    gather_row(problem.walk(first_row + thread, term), depth, a + thread);
    gather_columns(problem, term, depth, first_column, b);
    __syncthreads();
    for (int k = 0; k < depth; ++k) {
      const Floats<4> left = load_pack<4>(a + k * kTileRows + row);
      const Floats<4> right[2] = {load_pack<4>(b + k * kPitch + column),
                                  load_pack<4>(b + k * kPitch + kTileColumns / 2 + column)};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          sums[i][j / 4].v[j % 4] += left.v[i] * right[j / 4].v[j % 4];
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::int64_t first = first_column + half * kTileColumns / 2 + column;
      if (first_row + row + i < problem.size.rows && first < problem.size.columns) {
        problem.store(blockIdx.z, first_row + row + i, first, sums[i][half]);
      }
    }
  }
}

/// Enqueues a product on a stream.
template <class Problem>
void gathered_product(const CudaStream& stream, const Problem& problem) {
  const ProductSize& size = problem.size;
  if (size.rows == 0 || size.columns == 0) {
    return;
  }
  const auto tiles = [](std::int64_t values, std::int64_t tile) {
    return static_cast<unsigned>((values + tile - 1) / tile);
  };
  const dim3 blocks(tiles(size.rows, kTileRows), tiles(size.columns, kTileColumns),
                    static_cast<unsigned>(size.groups()));
  launch_kernel(stream, blocks, kTileRows, kTileBytes, gathered_product_kernel<Problem>, problem);
}

}  // namespace ebm
