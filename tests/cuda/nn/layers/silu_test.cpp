// SiLU at the ends of its range, where e^−x overflows or vanishes.

#include "cuda/nn/layers/silu.cuh"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/numbers.h"

namespace ebm {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Silu, IsTheIdentityFarAboveZeroAndZeroFarBelow) {
  const Silu silu;
  for (const float x : {20.0F, 100.0F, 1e4F, 1e30F}) {
    EXPECT_EQ(silu(x), x);
    EXPECT_EQ(silu.gradient(x, 3), 3);
    EXPECT_NEAR(silu(-x), 0, 1e-7) << x;
    EXPECT_NEAR(silu.gradient(-x, 3), 0, 3e-7) << x;
  }
  EXPECT_EQ(silu(0), 0);
  EXPECT_EQ(silu.gradient(0, 3), 1.5F);
  EXPECT_TRUE(std::isnan(silu(kNan)));
}

TEST(Silu, IsItsDefinition) {
  const Silu silu;
  for (const float x : numbers(10'000, 1, 30)) {
    const double exact = static_cast<double>(x);
    const double s = sigmoid(exact);
    EXPECT_NEAR(silu(x), exact * s, 1e-6 * std::abs(exact * s)) << x;
    const double slope = s * (1 + exact * (1 - s));
    EXPECT_NEAR(silu.gradient(x, -2), -2 * slope, 2e-6 * s * (1 + std::abs(exact))) << x;
  }
}

}  // namespace
}  // namespace ebm
