#include "cuda/nn/cpu/small_product.h"

#include "cuda/base/vector_memory.h"

namespace ebm {
namespace {

/// Columns that are computed together: a whole vector, or a few.
constexpr std::int64_t kStrip = 16;

/// Rows that are computed together: their sums of a strip take 8 registers, of the 16 there are at
/// least, which leaves enough for a row of B and a factor.
template <class Lanes>
constexpr int kRows = sizeof(Lanes) / sizeof(float) / 2;

/// A strip of `count` rows of C, its sums in registers.
template <class Lanes, int count>
EBM_HOST_DEVICE void some_rows(std::int64_t inner, const MatrixView& a, const float* b,
                               std::int64_t b_row, float* c, std::int64_t c_row) {
  constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  constexpr std::int64_t kVectors = kStrip / kLanes;
  Lanes sum[count][kVectors] = {};
  for (std::int64_t k = 0; k < inner; ++k) {
    Lanes columns[kVectors];
    for (std::int64_t vector = 0; vector < kVectors; ++vector) {
      load(b + k * b_row + vector * kLanes, columns[vector]);
    }
    for (int i = 0; i < count; ++i) {
      for (std::int64_t vector = 0; vector < kVectors; ++vector) {
        sum[i][vector] += a.data[i * a.row + k * a.column] * columns[vector];
      }
    }
  }
  for (int i = 0; i < count; ++i) {
    for (std::int64_t vector = 0; vector < kVectors; ++vector) {
      store(c + i * c_row + vector * kLanes, sum[i][vector]);
    }
  }
}

EBM_HOST_DEVICE MatrixView from_row(const MatrixView& matrix, std::int64_t row) {
  return {matrix.data + row * matrix.row, matrix.row, matrix.column};
}

template <class Lanes>
EBM_HOST_DEVICE void product_in(std::int64_t rows, std::int64_t inner, std::int64_t columns,
                                const MatrixView& a, const MatrixView& b, float* c,
                                std::int64_t c_row) {
  std::int64_t j = 0;
  for (; b.column == 1 && j + kStrip <= columns; j += kStrip) {
    std::int64_t i = 0;
    for (; i + kRows<Lanes> <= rows; i += kRows<Lanes>) {
      some_rows<Lanes, kRows<Lanes>>(inner, from_row(a, i), b.data + j, b.row, c + i * c_row + j,
                                     c_row);
    }
    for (; i < rows; ++i) {
      some_rows<Lanes, 1>(inner, from_row(a, i), b.data + j, b.row, c + i * c_row + j, c_row);
    }
  }
  for (; j < columns; ++j) {  // what does not fill a strip
    for (std::int64_t i = 0; i < rows; ++i) {
      float sum = 0;
      for (std::int64_t k = 0; k < inner; ++k) {
        sum += a.data[i * a.row + k * a.column] * b.data[k * b.row + j * b.column];
      }
      c[i * c_row + j] = sum;
    }
  }
}

}  // namespace

void small_product(std::int64_t rows, std::int64_t inner, std::int64_t columns, const MatrixView& a,
                   const MatrixView& b, float* c, std::int64_t c_row, int lanes) {
  const auto product = [&]<class Lanes>() __attribute__((always_inline)) {
    product_in<Lanes>(rows, inner, columns, a, b, c, c_row);
  };
  with_vectors(lanes, product);
}

}  // namespace ebm
