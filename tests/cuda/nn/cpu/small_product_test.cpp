// Small products against plain sums in double, with vectors of every width.

#include "cuda/nn/cpu/small_product.h"

#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "tests/support/goldens.h"

namespace ebm {
namespace {

struct Product {
  std::int64_t rows;
  std::int64_t inner;
  std::int64_t columns;
  bool a_transposed = false;
  bool b_transposed = false;
};

void PrintTo(const Product& p, std::ostream* out) {
  *out << p.rows << "x" << p.inner << (p.a_transposed ? " transposed" : "") << " times " << p.inner
       << "x" << p.columns << (p.b_transposed ? " transposed" : "");
}

class SmallProduct : public testing::TestWithParam<Product> {
 protected:
  static constexpr std::int64_t kApart = 3;  // values between the rows of each matrix
  static constexpr float kUntouched = 9.0F;

  SmallProduct()
      : a_values_(hashed_floats("small_product/a", 5000)),
        b_values_(hashed_floats("small_product/b", 5000)) {}

  static MatrixView view(const std::vector<float>& values, std::int64_t rows, std::int64_t columns,
                         bool transposed) {
    return transposed ? MatrixView{values.data(), rows + kApart, 1}.transposed()
                      : MatrixView{values.data(), columns + kApart, 1};
  }
  MatrixView a() const { return view(a_values_, p_.rows, p_.inner, p_.a_transposed); }
  MatrixView b() const { return view(b_values_, p_.inner, p_.columns, p_.b_transposed); }
  std::int64_t c_row() const { return p_.columns + kApart; }

  /// Some rows of C, with what is between them.
  std::vector<float> product(std::int64_t first, std::int64_t rows, int lanes) const {
    std::vector<float> c(static_cast<std::size_t>(rows * c_row()), kUntouched);
    const MatrixView from{a().data + first * a().row, a().row, a().column};
    small_product(rows, p_.inner, p_.columns, from, b(), c.data(), c_row(), lanes);
    return c;
  }

  const Product p_ = GetParam();
  const std::vector<float> a_values_;
  const std::vector<float> b_values_;
};

TEST_P(SmallProduct, IsThePlainSums) {
  std::vector<double> exact;
  for (std::int64_t i = 0; i < p_.rows; ++i) {
    for (std::int64_t j = 0; j < c_row(); ++j) {
      double sum = j < p_.columns ? 0.0 : kUntouched;
      for (std::int64_t k = 0; k < p_.inner && j < p_.columns; ++k) {
        sum += static_cast<double>(a().data[i * a().row + k * a().column]) *
               b().data[k * b().row + j * b().column];
      }
      exact.push_back(sum);
    }
  }
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    EXPECT_LT(relative_error(product(0, p_.rows, lanes), exact), 1e-6) << lanes << " lanes";
  }
}

TEST_P(SmallProduct, ARowHasTheSameBitsAmongAnyNumber) {
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    std::vector<float> row_by_row;
    for (std::int64_t row = 0; row < p_.rows; ++row) {
      const std::vector<float> one = product(row, 1, lanes);
      row_by_row.insert(row_by_row.end(), one.begin(), one.end());
    }
    EXPECT_EQ(product(0, p_.rows, lanes), row_by_row) << lanes << " lanes";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SmallProduct,
                         testing::Values(Product{64, 32, 16}, Product{16, 64, 32, true},
                                         Product{256, 16, 64}, Product{64, 16, 64, false, true},
                                         Product{11, 5, 37}, Product{1, 1, 1},
                                         Product{13, 9, 16, true}, Product{7, 3, 15, true, true}));

}  // namespace
}  // namespace ebm
