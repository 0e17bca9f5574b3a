// R̂ and effective sample sizes, by ArviZ's values and by exact laws.

#include "cuda/diagnostics/mixing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
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

/// The definition, with ranks by counting.
double nested_rhat_by_definition(const std::vector<float>& draws, std::size_t chains,
                                 std::size_t groups) {
  const std::size_t n = draws.size() / chains;
  const auto of = [&](const std::vector<double>& values) {
    std::vector<double> z(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      double rank = 0.5;
      for (const double other : values) {
        rank += other < values[i] ? 1 : other == values[i] ? 0.5 : 0;
      }
      z[i] = normal_quantile((rank - 0.375) / (static_cast<double>(values.size()) + 0.25));
    }
    const auto moments = [](const std::vector<double>& x) {
      double sum = 0;
      double squares = 0;
      for (const double value : x) sum += value / static_cast<double>(x.size());
      for (const double value : x) squares += (value - sum) * (value - sum);
      return std::pair(sum, squares / static_cast<double>(x.size() - 1));
    };
    std::vector<double> group_means;
    double within = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      std::vector<double> means;
      double inside = 0;
      for (std::size_t c = g * chains / groups; c < (g + 1) * chains / groups; ++c) {
        std::vector<double> chain;
        for (std::size_t t = 0; t < n; ++t) chain.push_back(z[t * chains + c]);
        const auto [mean, variance] = moments(chain);
        means.push_back(mean);
        inside += variance;
      }
      const auto [mean, variance] = moments(means);
      group_means.push_back(mean);
      within +=
          (variance + inside / static_cast<double>(means.size())) / static_cast<double>(groups);
    }
    return std::sqrt(1 + moments(group_means).second / within);
  };
  std::vector<double> values(draws.begin(), draws.end());
  std::vector<double> in_order = values;
  std::ranges::sort(in_order);
  const double median = (in_order[(values.size() - 1) / 2] + in_order[values.size() / 2]) / 2;
  std::vector<double> folded;
  for (const double value : values) folded.push_back(std::abs(value - median));
  return std::max(of(values), of(folded));
}

TEST(NestedRhat, IsItsDefinition) {
  const TensorFile golden = read_safetensors(test_data() / "mixing.safetensors");
  for (const auto& [name, groups] :
       {std::pair("mixed", 2), std::pair("slow", 3), std::pair("apart", 2), std::pair("wide", 2),
        std::pair("drifting", 2)}) {
    const Tensor& draws = golden.at(name);
    EXPECT_NEAR(nested_rhat(draws.values, draws.shape[1], groups),
                nested_rhat_by_definition(draws.values, static_cast<std::size_t>(draws.shape[1]),
                                          static_cast<std::size_t>(groups)),
                1e-12)
        << name;
  }
}

/// Chains that stay where they began: R-hat sees that, nested R-hat only whether groups differ.
TEST(NestedRhat, AsksWhetherTheStartsAreForgotten) {
  constexpr std::size_t kChains = 400;
  constexpr std::size_t kDraws = 20;
  std::mt19937 words(5);
  std::normal_distribution<float> normal;
  std::vector<float> places(kChains);
  for (float& place : places) place = normal(words);
  const auto draws = [&](float shift, float width) {
    std::vector<float> x;
    for (std::size_t i = 0; i < kDraws * kChains; ++i) {
      const std::size_t chain = i % kChains;
      const bool second = chain >= kChains / 2;
      x.push_back((second ? shift : 0) + (second ? width : 1) * places[chain] +
                  0.01F * normal(words));
    }
    return x;
  };
  EXPECT_GT(mixing(draws(0, 1), kChains).rhat, 10);
  EXPECT_LT(nested_rhat(draws(0, 1), kChains, 2), 1.02);
  EXPECT_NEAR(nested_rhat(draws(1, 1), kChains, 2), std::sqrt(1.5), 0.07);  // B = 1/2, W = 1
  EXPECT_GT(nested_rhat(draws(0, 3), kChains, 2), 1.2) << "by distances from the median";
  EXPECT_TRUE(std::isnan(nested_rhat(std::vector<float>(80, 2.0F), 4, 2)));
  std::vector<float> broken = draws(0, 1);
  broken[7] = NAN;
  EXPECT_TRUE(std::isnan(nested_rhat(broken, kChains, 2)));
}

TEST(NestedRhat, IsTheSameBitsOnAnyThreads) {
  const TensorFile golden = read_safetensors(test_data() / "mixing.safetensors");
  const Tensor& draws = golden.at("slow");
  const double expected = nested_rhat(draws.values, draws.shape[1], 2);
  for (const int count : {1, 3}) {
    const Threads threads(count);
    EXPECT_EQ(nested_rhat(draws.values, draws.shape[1], 2), expected);
  }
}

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
