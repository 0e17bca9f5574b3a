#include "cuda/nn/cpu/panel_product.h"

#include <utility>

#include "cuda/base/ceil_div.h"

namespace ebm {
namespace {

constexpr int kVectors = 2;

/// Rows whose sums, times two vectors, leave registers for a row of the panel and one factor: there
/// are 32 registers where vectors have 16 lanes, and 16 elsewhere.
template <class Lanes>
constexpr int kMostRows = sizeof(Lanes) == sizeof(Float16) ? 14 : 6;

/// Terms that are summed in a row: sums of so many are added up, so that errors stay small.
constexpr std::int64_t kTerms = 64;

/// Adds `terms` products of rows of A and a strip of B, two vectors wide, to sums in registers.
template <class Lanes, int rows>
EBM_HOST_DEVICE void add_products(std::int64_t terms, const float* a, std::int64_t a_row,
                                  const float* b, Lanes (&sum)[rows][kVectors]) {
  constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  for (std::int64_t k = 0; k < terms; ++k) {
    Lanes columns[kVectors];
    for (int vector = 0; vector < kVectors; ++vector) {
      load_once(b + k * kPanel + vector * kLanes, columns[vector]);
    }
    for (int row = 0; row < rows; ++row) {
      for (int vector = 0; vector < kVectors; ++vector) {
        sum[row][vector] += a[row * a_row + k] * columns[vector];
      }
    }
  }
}

/// `rows` rows of a strip of C.
template <class Lanes, int rows>
EBM_HOST_DEVICE void strip_product(std::int64_t inner, const float* a, std::int64_t a_row,
                                   const float* b, float* c, std::int64_t c_row) {
  constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  Lanes total[rows][kVectors] = {};
  Lanes sum[rows][kVectors] = {};
  std::int64_t begin = 0;
  for (; begin + kTerms < inner; begin += kTerms) {
    add_products<Lanes, rows>(kTerms, a + begin, a_row, b + begin * kPanel, sum);
    for (int row = 0; row < rows; ++row) {
      for (int vector = 0; vector < kVectors; ++vector) {
        total[row][vector] += sum[row][vector];
        sum[row][vector] = Lanes{};
      }
    }
  }
  add_products<Lanes, rows>(inner - begin, a + begin, a_row, b + begin * kPanel, sum);
  for (int row = 0; row < rows; ++row) {
    for (int vector = 0; vector < kVectors; ++vector) {
      store(c + row * c_row + vector * kLanes, total[row][vector] + sum[row][vector]);
    }
  }
}

/// `rows` rows of C.
template <class Lanes, int rows>
EBM_HOST_DEVICE void some_rows(std::int64_t inner, const float* a, std::int64_t a_row,
                               const float* b, float* c, std::int64_t c_row) {
  constexpr std::int64_t kStrip = kVectors * sizeof(Lanes) / sizeof(float);
  for (std::int64_t column = 0; column < kPanel; column += kStrip) {
    strip_product<Lanes, rows>(inner, a, a_row, b + column, c + column, c_row);
  }
}

/// The same for a number of rows that is known at run time.
template <class Lanes, int... fewer>
EBM_HOST_DEVICE void some_rows(std::integer_sequence<int, fewer...> /*than the most*/, int rows,
                               std::int64_t inner, const float* a, std::int64_t a_row,
                               const float* b, float* c, std::int64_t c_row) {
  static_cast<void>(
      ((rows == fewer + 1 && (some_rows<Lanes, fewer + 1>(inner, a, a_row, b, c, c_row), true)) ||
       ...));
}

template <class Lanes>
EBM_HOST_DEVICE void product_in(std::int64_t rows, std::int64_t inner, std::int64_t columns,
                                const float* a, std::int64_t a_row, const float* b, float* c,
                                std::int64_t c_row) {
  constexpr int kMost = kMostRows<Lanes>;
  const std::int64_t blocks = ceil_div(rows, kMost);  // as equal as can be
  for (std::int64_t panel = 0; panel < columns; panel += kPanel) {
    for (std::int64_t block = 0; block < blocks; ++block) {
      const std::int64_t first = block * rows / blocks;
      const auto count = static_cast<int>((block + 1) * rows / blocks - first);
      some_rows<Lanes>(std::make_integer_sequence<int, kMost>(), count, inner, a + first * a_row,
                       a_row, b + panel * inner, c + first * c_row + panel, c_row);
    }
  }
}

}  // namespace

void panel_product(std::int64_t rows, std::int64_t inner, std::int64_t columns, const float* a,
                   std::int64_t a_row, const float* b, float* c, std::int64_t c_row, int lanes) {
  const auto product = [&]<class Lanes>() __attribute__((always_inline)) {
    product_in<Lanes>(rows, inner, columns, a, a_row, b, c, c_row);
  };
  with_vectors(lanes, product);
}

}  // namespace ebm
