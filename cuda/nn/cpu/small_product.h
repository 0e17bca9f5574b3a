// Products of small matrices on one CPU thread: the attention of a non-local block. Allocates
// nothing, where a general matrix library packs its operands into memory of its own at every call.
#pragma once

#include <cstdint>

#include "cuda/base/vector_memory.h"

namespace ebm {

/// A matrix as seen by a product: element (i, j) is data[i·row + j·column].
struct MatrixView {
  const float* data = nullptr;
  std::int64_t row = 0;
  std::int64_t column = 1;

  MatrixView transposed() const { return {data, column, row}; }
};

/// C = A·B with A rows×inner and B inner×columns; C is row-major with `c_row` values from one row
/// to the next and overlaps neither. Every element is a sum in ascending order. Fastest where B's
/// columns are adjacent (b.column == 1) and a multiple of 16. `lanes` are the floats of the vectors
/// to compute with: widest_vectors() or fewer.
void small_product(std::int64_t rows, std::int64_t inner, std::int64_t columns, const MatrixView& a,
                   const MatrixView& b, float* c, std::int64_t c_row, int lanes = widest_vectors());

}  // namespace ebm
