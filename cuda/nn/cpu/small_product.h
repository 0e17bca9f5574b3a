// Products of small matrices on one CPU thread: the attention of a non-local block. Allocates
// nothing, where a general matrix library packs its operands into memory of its own at every call.
#pragma once

#include <cstdint>

namespace ebm {

/// A matrix as seen by a product: element (i, j) is data[i·row + j·column].
struct MatrixView {
  const float* data = nullptr;
  std::int64_t row = 0;
  std::int64_t column = 1;

  MatrixView transposed() const { return {data, column, row}; }
};

/// C = A·B with A rows×inner and B inner×columns; C is row-major with `c_row` values from one row
/// to the next and overlaps neither. Fastest where B's columns are adjacent (b.column == 1).
void small_product(std::int64_t rows, std::int64_t inner, std::int64_t columns, const MatrixView& a,
                   const MatrixView& b, float* c, std::int64_t c_row);

}  // namespace ebm
