#include "cuda/nn/cpu/small_product.h"

#include <cstring>

#include "cuda/base/cpu_clones.h"
#include "cuda/base/host_device.cuh"

namespace ebm {
namespace {

constexpr std::int64_t kLanes = 16;
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

/// kLanes adjacent columns of `count` rows of C, their sums in registers.
template <int count>
EBM_HOST_DEVICE void some_rows(std::int64_t inner, const MatrixView& a, const float* b,
                               std::int64_t b_row, float* c, std::int64_t c_row) {
  Lanes sum[count] = {};
  for (std::int64_t k = 0; k < inner; ++k) {
    Lanes columns;
    std::memcpy(&columns, b + k * b_row, sizeof(columns));
    for (int i = 0; i < count; ++i) {
      sum[i] += a.data[i * a.row + k * a.column] * columns;
    }
  }
  for (int i = 0; i < count; ++i) {
    std::memcpy(c + i * c_row, &sum[i], sizeof(Lanes));
  }
}

EBM_HOST_DEVICE MatrixView from_row(const MatrixView& matrix, std::int64_t row) {
  return {matrix.data + row * matrix.row, matrix.row, matrix.column};
}

}  // namespace

EBM_CPU_CLONES void small_product(std::int64_t rows, std::int64_t inner, std::int64_t columns,
                                  const MatrixView& a, const MatrixView& b, float* c,
                                  std::int64_t c_row) {
  constexpr int kRows = 8;
  std::int64_t j = 0;
  for (; b.column == 1 && j + kLanes <= columns; j += kLanes) {
    std::int64_t i = 0;
    for (; i + kRows <= rows; i += kRows) {
      some_rows<kRows>(inner, from_row(a, i), b.data + j, b.row, c + i * c_row + j, c_row);
    }
    for (; i < rows; ++i) {
      some_rows<1>(inner, from_row(a, i), b.data + j, b.row, c + i * c_row + j, c_row);
    }
  }
  for (; j < columns; ++j) {  // what does not fill a vector
    for (std::int64_t i = 0; i < rows; ++i) {
      float sum = 0;
      for (std::int64_t k = 0; k < inner; ++k) {
        sum += a.data[i * a.row + k * a.column] * b.data[k * b.row + j * b.column];
      }
      c[i * c_row + j] = sum;
    }
  }
}

}  // namespace ebm
