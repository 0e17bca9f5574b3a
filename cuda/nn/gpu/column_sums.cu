#include "cuda/nn/gpu/column_sums.cuh"

#include <algorithm>

#include "cuda/base/ceil_div.h"
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

constexpr int kColumns = 32;  // a block's threads are kColumns × kStrands
constexpr int kStrands = 8;
constexpr std::int64_t kMostGroups = 256;

std::int64_t groups_of(std::int64_t rows) {
  constexpr std::int64_t kRowsWorthABlock = 32 * kStrands;
  return std::clamp(ceil_div(rows, kRowsWorthABlock), std::int64_t{1}, kMostGroups);
}

/// sums[group·columns + j] of the rows of one group: a block's threads sum every kStrands-th row,
/// and the strands are added in order.
template <class T>
__global__ void column_sums_kernel(std::int64_t rows, std::int64_t rows_per_group,
                                   std::int64_t stride, std::int64_t columns, const T* x,
                                   float* sums) {
  __shared__ float strands[kStrands][kColumns];
  const std::int64_t column = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  const std::int64_t begin = std::int64_t{blockIdx.y} * rows_per_group;
  const std::int64_t end = std::min(rows, begin + rows_per_group);
  float sum = 0;
  if (column < columns) {
    for (std::int64_t row = begin + threadIdx.y; row < end; row += kStrands) {
      sum += static_cast<float>(x[row * stride + column]);
    }
  }
  strands[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < columns) {
    for (int strand = 1; strand < kStrands; ++strand) {
      sum += strands[strand][threadIdx.x];
    }
    sums[blockIdx.y * columns + column] = sum;
  }
}

template <class T>
void sum_groups(const CudaStream& stream, std::int64_t groups, std::int64_t rows,
                std::int64_t stride, std::int64_t columns, const T* x, float* sums) {
  if (columns == 0) {
    return;
  }
  const auto blocks = static_cast<unsigned>(ceil_div(columns, kColumns));
  launch_kernel(stream, dim3(blocks, static_cast<unsigned>(groups)), dim3(kColumns, kStrands), 0,
                column_sums_kernel<T>, rows, ceil_div(rows, groups), stride, columns, x, sums);
}

}  // namespace

std::size_t column_sums_scratch(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(groups_of(rows) * columns);
}

template <class T>
void column_sums(const CudaStream& stream, std::int64_t rows, std::int64_t columns, const T* x,
                 float* scratch, float* sums) {
  const std::int64_t groups = groups_of(rows);
  sum_groups(stream, groups, rows, columns, columns, x, scratch);
  sum_partials(stream, groups, columns, columns, scratch, sums);
}

void sum_partials(const CudaStream& stream, std::int64_t groups, std::int64_t stride,
                  std::int64_t columns, const float* partials, float* sums) {
  sum_groups(stream, 1, groups, stride, columns, partials, sums);
}

template void column_sums(const CudaStream&, std::int64_t, std::int64_t, const float*, float*,
                          float*);
template void column_sums(const CudaStream&, std::int64_t, std::int64_t, const Bfloat16*, float*,
                          float*);

}  // namespace ebm
