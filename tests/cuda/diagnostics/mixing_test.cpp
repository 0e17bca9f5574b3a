// R̂ and effective sample sizes, by ArviZ's values and by exact laws.

#include "cuda/diagnostics/mixing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cuda/diagnostics/normal_quantile.cuh"
#include "host/files/safetensors.h"
#include "tests/support/places.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

class MixingGolden : public testing::TestWithParam<const char*> {};

TEST_P(MixingGolden, IsArviz) {
  const TensorFile golden = read_safetensors(test_data() / "mixing.safetensors");
  const Tensor& draws = golden.at(GetParam());
  const std::vector<float>& expected = golden.at(std::string(GetParam()) + "_says").values;
  const Mixing out = mixing(draws.values, draws.shape[1]);
  constexpr double kRounding = 1e-6;  // of the golden values, float32
  EXPECT_NEAR(out.rhat / static_cast<double>(expected[0]), 1, kRounding);
  EXPECT_NEAR(out.ess_bulk / static_cast<double>(expected[1]), 1, kRounding);
  EXPECT_NEAR(out.ess_tail / static_cast<double>(expected[2]), 1, kRounding);
}

INSTANTIATE_TEST_SUITE_P(Chains, MixingGolden,
                         testing::Values("mixed", "slow", "one_chain", "antithetic", "apart",
                                         "wide", "drifting", "cauchy", "tied", "shortest"),
                         [](const auto& instance) { return std::string(instance.param); });

std::vector<float> autoregressive(std::int64_t chains, std::int64_t draws, float rho) {
  std::mt19937 words(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(chains * draws));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto row = static_cast<std::size_t>(chains);
    x[i] = i < row ? normal(words) : rho * x[i - row] + std::sqrt(1 - rho * rho) * normal(words);
  }
  return x;
}

TEST(NormalQuantile, IsTheInverse) {
  for (const double p : {1e-300, 1e-12, 0.01, 0.3, 0.5, 0.574, 0.99, 1 - 1e-9}) {
    const double z = normal_quantile(p);
    EXPECT_NEAR(std::erfc(-z / std::sqrt(2.0)) / 2 / p, 1, 1e-10) << p;
  }
}

TEST(Mixing, EffectiveSizeIsThatOfAnAutoregression) {
  // Whose auto-correlation time is (1 + ρ)/(1 − ρ) = 9; ranks of a normal change none.
  const std::vector<float> draws = autoregressive(100, 2000, 0.8F);
  const Mixing out = mixing(draws, 100);
  EXPECT_NEAR(out.ess_bulk, 200'000 / 9.0, 0.05 * 200'000 / 9.0);
  EXPECT_LT(out.rhat, 1.01);
  EXPECT_GT(out.rhat, 0.999);
}

TEST(Mixing, IsTheSameBitsForAnyNumberOfThreads) {
  const std::vector<float> draws = autoregressive(7, 300, 0.9F);
  const auto compute = [&](int count) {
    const Threads threads(count);
    const Mixing out = mixing(draws, 7);
    return std::vector<double>{out.rhat, out.ess_bulk, out.ess_tail};
  };
  EXPECT_EQ(compute(1), compute(3));
}

TEST(Mixing, IsUndefinedWhereItSaysSo) {
  const auto all_nan = [](const Mixing& out) {
    return std::isnan(out.rhat) && std::isnan(out.ess_bulk) && std::isnan(out.ess_tail);
  };
  EXPECT_TRUE(all_nan(mixing({}, 2)));
  EXPECT_TRUE(all_nan(mixing(std::vector<float>{1, 2, 3, 4, 5, 6}, 2))) << "three draws";
  std::vector<float> draws = autoregressive(2, 10, 0.5F);
  draws[7] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(all_nan(mixing(draws, 2)));

  const Mixing equal = mixing(std::vector<float>(40, 2.5F), 4);
  EXPECT_TRUE(std::isnan(equal.rhat));
  EXPECT_EQ(equal.ess_bulk, 40);
  EXPECT_EQ(equal.ess_tail, 40);
}

}  // namespace
}  // namespace ebm
