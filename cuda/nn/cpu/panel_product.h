// Products of matrices on one CPU thread where one factor stays the same for a long time: its
// columns lie ready in panels.
#pragma once

#include <cstdint>

#include "cuda/base/vector_memory.h"

namespace ebm {

/// Columns of a panel. A matrix of `inner` rows is panel by panel, and in each inner × kPanel.
constexpr std::int64_t kPanel = 32;

/// Where element (k, column) of a matrix in panels is.
inline std::int64_t place_in_panels(std::int64_t inner, std::int64_t k, std::int64_t column) {
  return (column / kPanel * inner + k) * kPanel + column % kPanel;
}

/// C = A·B: A is rows × inner, with a_row values from one row to the next; B is inner × columns, in
/// panels; C is rows × columns with c_row values from one row to the next. Requires that kPanel
/// divides the number of columns. Every element is the sum, in ascending order, of sums of 64 terms
/// in ascending order. `lanes` are the floats of the vectors to compute with: widest_vectors() or
/// fewer.
void panel_product(std::int64_t rows, std::int64_t inner, std::int64_t columns, const float* a,
                   std::int64_t a_row, const float* b, float* c, std::int64_t c_row,
                   int lanes = widest_vectors());

}  // namespace ebm
