// Sums over the rows of a matrix: the gradient of a bias, and the last step of sums that blocks
// took over groups of rows. In builds with CUDA only.
//
// Kernels of ours, because CUB sums values that are side by side, and those of a column are not.
// Enqueued on a stream; the pointers are the device's. The order of a sum depends on the matrix's
// size alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ebm {

class CudaStream;

/// Values of scratch memory that column_sums needs.
std::size_t column_sums_scratch(std::int64_t rows, std::int64_t columns);

/// sums[j] = Σ_i x[i·columns + j], in float. T is float or Bfloat16.
template <class T>
void column_sums(const CudaStream& stream, std::int64_t rows, std::int64_t columns, const T* x,
                 float* scratch, float* sums);

/// sums[j] = Σ_g partials[g·stride + j] for j < columns and g < groups.
void sum_partials(const CudaStream& stream, std::int64_t groups, std::int64_t stride,
                  std::int64_t columns, const float* partials, float* sums);

}  // namespace ebm
