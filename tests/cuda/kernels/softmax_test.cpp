// Softmax, forward and backward, and its exponential, against their definitions in float64.

#include "cuda/kernels/softmax.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/numbers.h"

namespace ebm {
namespace {

std::vector<float> softmax(std::size_t rows, std::vector<float> scores) {
  softmax_forward(static_cast<std::int64_t>(rows), static_cast<std::int64_t>(scores.size() / rows),
                  scores.data());
  return scores;
}

std::vector<float> softmax_gradient(std::size_t rows, const std::vector<float>& attention,
                                    std::vector<float> gradient) {
  softmax_backward(static_cast<std::int64_t>(rows),
                   static_cast<std::int64_t>(attention.size() / rows), attention.data(),
                   gradient.data());
  return gradient;
}

TEST(ExpNonpositive, IsWithinAnUlp) {
  double worst = 0;
  for (std::uint32_t i = 0; i <= 2'000'000; ++i) {
    const float x = -87.0F * static_cast<float>(i) / 2'000'000.0F;
    worst = std::max(worst, ulps(exp_nonpositive(x), std::exp(static_cast<double>(x))));
  }
  // Near zero and at the borders of the range reduction, (k + 1/2) ln 2.
  for (int exponent = -126; exponent < 6; ++exponent) {
    const float x = -std::ldexp(1.0F, exponent);
    worst = std::max(worst, ulps(exp_nonpositive(x), std::exp(static_cast<double>(x))));
  }
  for (int k = 0; k < 125; ++k) {
    float x = -(static_cast<float>(k) + 0.5F) * 0.69314718F;
    for (int step = 0; step < 16; ++step) {
      worst = std::max(worst, ulps(exp_nonpositive(x), std::exp(static_cast<double>(x))));
      x = std::nextafter(x, step % 2 == 0 ? 0.0F : -100.0F);
    }
  }
  EXPECT_LT(worst, 1.0);
}

TEST(ExpNonpositive, SpecialValues) {
  EXPECT_EQ(exp_nonpositive(0.0F), 1.0F);
  EXPECT_EQ(exp_nonpositive(-0.0F), 1.0F);
  EXPECT_GT(exp_nonpositive(-87.0F), 0.0F);
  for (const float x : {std::nextafter(-87.0F, -100.0F), -88.0F, -1000.0F, -3e38F, -kInfinity}) {
    EXPECT_EQ(exp_nonpositive(x), 0.0F) << x;
  }
  EXPECT_TRUE(std::isnan(exp_nonpositive(kNan)));
  EXPECT_TRUE(std::isnan(exp_nonpositive(-kNan)));
}

/// exp(s)/Σ of one row, in float64.
std::vector<double> exact_softmax(const float* scores, std::size_t columns) {
  const auto highest = static_cast<double>(*std::max_element(scores, scores + columns));
  std::vector<double> attention;
  double sum = 0;
  for (std::size_t j = 0; j < columns; ++j) {
    attention.push_back(std::exp(static_cast<double>(scores[j]) - highest));
    sum += attention.back();
  }
  for (double& a : attention) {
    a /= sum;
  }
  return attention;
}

// Columns: one, around vector widths, and the keys of the published blocks (64 and 256 of 16×16 and
// 32×32 queries' pooled halves).
class SoftmaxColumns : public testing::TestWithParam<std::size_t> {
 protected:
  static constexpr std::size_t kRows = 7;
};

INSTANTIATE_TEST_SUITE_P(, SoftmaxColumns, testing::Values(1, 2, 3, 15, 16, 17, 64, 256, 1000),
                         testing::PrintToStringParamName());

TEST_P(SoftmaxColumns, ForwardIsItsDefinition) {
  const std::size_t columns = GetParam();
  for (const float scale : {0.1F, 1.0F, 20.0F, 1e4F, 1e38F}) {
    const std::vector<float> scores = numbers(kRows * columns, 1, scale);
    const std::vector<float> attention = softmax(kRows, scores);
    for (std::size_t row = 0; row < kRows; ++row) {
      const float* s = &scores[row * columns];
      const auto exact = exact_softmax(s, columns);
      const auto highest = static_cast<double>(*std::max_element(s, s + columns));
      double sum = 0;
      for (std::size_t j = 0; j < columns; ++j) {
        const float a = attention[row * columns + j];
        sum += static_cast<double>(a);
        // s − max is rounded before its exponential is taken, which is 0 below −87.
        const double roundings = 16 + (highest - static_cast<double>(s[j]));
        EXPECT_NEAR(a, exact[j], exact[j] * kRounding * roundings + std::exp(-87.0))
            << "row " << row << ", column " << j << ", scale " << scale;
      }
      EXPECT_NEAR(sum, 1.0, 1e-6) << scale;
    }
  }
}

TEST_P(SoftmaxColumns, ForwardDoesNotSeeAShift) {
  const std::size_t columns = GetParam();
  std::vector<float> scores = numbers(kRows * columns, 1, 8.0F);
  for (float& s : scores) {
    s = std::round(s * 1024) / 1024;  // so that the shifted score is a float
  }
  std::vector<float> shifted = scores;
  for (float& s : shifted) {
    s -= 512;
  }
  EXPECT_EQ(softmax(kRows, scores), softmax(kRows, shifted));
}

TEST_P(SoftmaxColumns, BackwardIsTheTransposedJacobian) {
  const std::size_t columns = GetParam();
  const std::vector<float> scores = numbers(kRows * columns, 1, 3.0F);
  const std::vector<float> upstream = numbers(kRows * columns, 2);
  const std::vector<float> gradient = softmax_gradient(kRows, softmax(kRows, scores), upstream);
  for (std::size_t row = 0; row < kRows; ++row) {
    const auto a = exact_softmax(&scores[row * columns], columns);
    for (std::size_t j = 0; j < columns; ++j) {
      double exact = 0;
      for (std::size_t i = 0; i < columns; ++i) {
        exact +=
            static_cast<double>(upstream[row * columns + i]) * a[i] * ((i == j ? 1.0 : 0.0) - a[j]);
      }
      EXPECT_NEAR(gradient[row * columns + j], exact, 2e-6 * a[j]) << row << " " << j;
    }
  }
}

TEST_P(SoftmaxColumns, BackwardDoesNotSeeAConstant) {
  // Attention sums to 1. The result's error stays that of the upstream gradient's differences.
  const std::vector<float> attention = softmax(kRows, numbers(kRows * GetParam(), 1, 3.0F));
  std::vector<float> upstream = numbers(attention.size(), 2);
  std::vector<float> shifted = upstream;
  for (std::size_t i = 0; i < upstream.size(); ++i) {
    upstream[i] = std::round(upstream[i] * 1024) / 1024;  // so that the shifted one is a float
    shifted[i] = upstream[i] + 4096;
  }
  const std::vector<float> gradient = softmax_gradient(kRows, attention, upstream);
  const std::vector<float> same = softmax_gradient(kRows, attention, shifted);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    EXPECT_NEAR(same[i], gradient[i], 2e-6 * attention[i]) << i;
  }
}

TEST(Softmax, BackwardIsTheDerivative) {
  // Central differences of the float64 definition of Σ dA·softmax(s).
  constexpr std::size_t kColumns = 10;
  const std::vector<float> scores = numbers(kColumns, 1, 3.0F);
  const std::vector<float> upstream = numbers(kColumns, 2);
  const std::vector<float> gradient = softmax_gradient(1, softmax(1, scores), upstream);
  const auto value = [&](std::size_t j, float move) {
    std::vector<float> moved = scores;
    moved[j] += move;
    const auto a = exact_softmax(moved.data(), kColumns);
    double sum = 0;
    for (std::size_t i = 0; i < kColumns; ++i) {
      sum += static_cast<double>(upstream[i]) * a[i];
    }
    return sum;
  };
  for (std::size_t j = 0; j < kColumns; ++j) {
    const float h = 0x1p-10F;
    EXPECT_NEAR(gradient[j], (value(j, h) - value(j, -h)) / 0x1p-9, 1e-6) << j;
  }
}

TEST(Softmax, OneScoreFarAboveTheOthersTakesAll) {
  std::vector<float> scores(100, -1000.0F);
  scores[42] = 1000;
  scores[43] = -kInfinity;
  std::vector<float> expected(100, 0.0F);
  expected[42] = 1;
  EXPECT_EQ(softmax(1, scores), expected);
}

TEST(Softmax, ANanFillsItsRowOnly) {
  for (const std::size_t place : {0U, 5U, 39U}) {
    std::vector<float> scores = numbers(80, 1);
    scores[place] = kNan;
    const std::vector<float> attention = softmax(2, scores);
    for (std::size_t j = 0; j < 40; ++j) {
      EXPECT_TRUE(std::isnan(attention[j])) << place << " " << j;
      EXPECT_FALSE(std::isnan(attention[40 + j])) << place << " " << j;
    }
  }
}

}  // namespace
}  // namespace ebm
