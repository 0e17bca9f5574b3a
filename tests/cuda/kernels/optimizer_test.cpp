// SGD and Adam steps against float64.

#include "cuda/kernels/optimizer.cuh"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

constexpr std::uint32_t kSteps = 50;

// The launchers under test.

void step_sgd(float rate, const std::vector<float>& gradient, std::vector<float>& parameters) {
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    sgd_step(Queue(stream...), SgdStep{.rate = rate}, std::ssize(parameters), memory.in(gradient),
             memory.in_out(parameters));
  });
}

void step_adam(const AdamStep& step, const std::vector<float>& gradient,
               std::vector<float>& parameters, std::vector<float>& first,
               std::vector<float>& second) {
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    adam_step(Queue(stream...), step, std::ssize(parameters), memory.in(gradient),
              memory.in_out(parameters), memory.in_out(first), memory.in_out(second));
  });
}

/// Sizes: one parameter, around vector widths, and enough for several threads.
class OptimizerSizes : public testing::TestWithParam<std::size_t> {
 protected:
  const std::size_t n_ = GetParam();
  const std::vector<float> start_ = numbers(n_, 1, 0.2F);

  /// Of very different sizes from parameter to parameter, and of changing sign.
  std::vector<float> gradient(std::uint32_t step) const {
    std::vector<float> g = numbers(n_, 100 + step);
    for (std::size_t i = 0; i < n_; ++i) {
      g[i] = std::ldexp(g[i], static_cast<int>(i % 41) - 30);
    }
    return g;
  }
};

INSTANTIATE_TEST_SUITE_P(, OptimizerSizes, testing::Values(1, 7, 16, 33, 10'000),
                         testing::PrintToStringParamName());

TEST_P(OptimizerSizes, SgdIsItsFloat64Self) {
  const float rate = 0.01F;
  std::vector<float> parameters = start_;
  std::vector<double> exact(start_.begin(), start_.end());
  std::vector<double> roundings(n_, 0.0);  // what they may add up to
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    const std::vector<float> g = gradient(step);
    step_sgd(rate, g, parameters);
    for (std::size_t i = 0; i < n_; ++i) {
      const double move = static_cast<double>(rate) * static_cast<double>(g[i]);
      exact[i] -= move;
      roundings[i] += kRounding * (std::abs(exact[i]) + std::abs(move));
    }
  }
  for (std::size_t i = 0; i < n_; ++i) {
    EXPECT_NEAR(parameters[i], exact[i], roundings[i] * 1.01) << i;
  }
}

TEST_P(OptimizerSizes, AdamIsItsFloat64Self) {
  // Kingma and Ba (2015), algorithm 1.
  const double rate = 1e-3;
  std::vector<float> parameters = start_;
  std::vector<float> first(n_, 0.0F);
  std::vector<float> second(n_, 0.0F);
  std::vector<double> exact(start_.begin(), start_.end());
  std::vector<double> m(n_, 0.0);
  std::vector<double> v(n_, 0.0);
  std::vector<double> roundings(n_, 0.0);
  for (std::uint32_t t = 1; t <= kSteps; ++t) {
    const std::vector<float> g = gradient(t);
    step_adam(AdamStep::at(rate, t), g, parameters, first, second);
    for (std::size_t i = 0; i < n_; ++i) {
      const auto gi = static_cast<double>(g[i]);
      m[i] = 0.9 * m[i] + 0.1 * gi;
      v[i] = 0.999 * v[i] + 0.001 * gi * gi;
      const double m_hat = m[i] / (1 - std::pow(0.9, t));
      const double v_hat = v[i] / (1 - std::pow(0.999, t));
      exact[i] -= rate * m_hat / (std::sqrt(v_hat) + 1e-8);
      // The moments' roundings add up over their memory; a step is at most a few rates long.
      roundings[i] += kRounding * (std::abs(exact[i]) + 20 * rate);
    }
  }
  for (std::size_t i = 0; i < n_; ++i) {
    EXPECT_NEAR(parameters[i], exact[i], roundings[i]) << i;
    EXPECT_NEAR(second[i], v[i], 2e-6 * v[i]) << i;
  }
}

float first_adam_step(float gradient) {
  std::vector<float> parameter = {0};
  std::vector<float> first = {0};
  std::vector<float> second = {0};
  step_adam(AdamStep::at(1e-4, 1), {gradient}, parameter, first, second);
  return parameter[0];
}

TEST(Adam, FirstStepIsTheRateWhateverTheGradientsSize) {
  for (const double size : {1e-4, 1.0, 1e12}) {
    for (const double sign : {-1.0, 1.0}) {
      const auto g = static_cast<float>(sign * size);
      const double exact = -sign * 1e-4 * size / (size + 1e-8);
      EXPECT_NEAR(first_adam_step(g), exact, 1e-4 * 5e-7) << g;
    }
  }
}

TEST(Adam, DeltaIsOutsideTheRoot) {
  // |g| = δ halves the step; inside the root δ would all but stop it.
  EXPECT_NEAR(first_adam_step(1e-8F), -0.5e-4, 1e-4 * 1e-6);
}

TEST(Adam, ZeroGradientsMoveNothing) { EXPECT_EQ(first_adam_step(0.0F), 0.0F); }

TEST(Adam, ANanStaysWhereItIs) {
  const std::vector<float> gradient = {1, kNan, 1};
  std::vector<float> parameters(3, 0.0F);
  std::vector<float> first(3, 0.0F);
  std::vector<float> second(3, 0.0F);
  step_adam(AdamStep::at(1e-4, 1), gradient, parameters, first, second);
  EXPECT_FALSE(std::isnan(parameters[0]));
  EXPECT_TRUE(std::isnan(parameters[1]));
  EXPECT_FALSE(std::isnan(parameters[2]));
}

}  // namespace
}  // namespace ebm
