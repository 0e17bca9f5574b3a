// Principal components, by NumPy's values and by exact laws.

#include "cuda/diagnostics/principal_components.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/files/safetensors.h"
#include "tests/support/goldens.h"
#include "tests/support/places.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

class PrincipalComponentsGolden : public testing::TestWithParam<const char*> {};

TEST_P(PrincipalComponentsGolden, AreNumpys) {
  const TensorFile golden = golden_file("distances");
  const auto expected = [&](const std::string& what) {
    return golden.at(std::string(GetParam()) + "_" + what);
  };
  const Tensor& data = golden.at(GetParam());
  const Tensor variances = expected("variances");
  const auto components = static_cast<std::int64_t>(variances.values.size()) - 1;
  const PrincipalComponents fit =
      PrincipalComponents::fit(data.values, data.shape[1], components, 1);

  std::vector<double> found = fit.variances();
  found.push_back(fit.residual_variance());
  ASSERT_EQ(fit.components(), components);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto value = static_cast<double>(variances.values[i]);
    EXPECT_NEAR(found[i], value, 1e-5 * value) << i;
  }
  const std::vector<float>& others = expected("others").values;
  EXPECT_LT(relative_error(fit.project(others), expected("projected").values), 1e-5);
  EXPECT_LT(relative_error(fit.log_densities(others), expected("log_densities").values), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Data, PrincipalComponentsGolden, testing::Values("plane", "few", "many"),
                         [](const auto& instance) { return std::string(instance.param); });

std::vector<float> draws(std::int64_t rows, const std::vector<float>& spreads) {
  std::mt19937 words(11);
  std::normal_distribution<float> normal;
  std::vector<float> x;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (const float spread : spreads) x.push_back(spread * normal(words));
  }
  return x;
}

std::vector<double> everything(const PrincipalComponents& fit, const std::vector<float>& states) {
  std::vector<double> all = fit.mean();
  all.insert(all.end(), fit.variances().begin(), fit.variances().end());
  all.push_back(fit.residual_variance());
  for (const float value : fit.project(states)) all.push_back(static_cast<double>(value));
  const std::vector<double> densities = fit.log_densities(states);
  all.insert(all.end(), densities.begin(), densities.end());
  return all;
}

TEST(PrincipalComponents, AreTheSameBitsForAnyNumberOfThreads) {
  for (const std::size_t dimensions : {70U, 300U}) {
    const std::vector<float> x = draws(1000, std::vector<float>(dimensions, 1));
    const auto compute = [&](int count) {
      const Threads threads(count);
      return everything(PrincipalComponents::fit(x, static_cast<std::int64_t>(dimensions), 9, 5),
                        x);
    };
    EXPECT_EQ(compute(1), compute(3)) << dimensions;
  }
}

TEST(PrincipalComponents, KeepTheTotalVarianceWhereTheSpectrumIsFlat) {
  // Beyond 256 dimensions, of equal variances, no leading ones are to be found: the law is right
  // all the same.
  const std::vector<float> x = draws(2000, std::vector<float>(400, 0.5F));
  const PrincipalComponents fit = PrincipalComponents::fit(x, 400, 20, 3);
  double total = 380 * fit.residual_variance();
  for (const double variance : fit.variances()) total += variance;
  // The sum of 2000·400 squares has a relative standard deviation of √(2/800,000) = 0.0016.
  EXPECT_NEAR(total, 400 * 0.25, 0.008 * 400 * 0.25);
  // Eigenvalues are within (1 ± √(400/2000))² of the truth: Marchenko and Pastur.
  EXPECT_LT(fit.variances().front(), 1.05 * 0.25 * std::pow(1 + std::sqrt(0.2), 2));
  EXPECT_GT(fit.variances().back(), 0.25);
}

TEST(PrincipalComponents, OfAllDimensionsAreTheGaussianItself) {
  const PrincipalComponents fit =
      PrincipalComponents::fit(std::vector<float>{-1, -2, -1, 2, 1, -2, 1, 2}, 2, 9, 0);
  EXPECT_EQ(fit.components(), 2);
  EXPECT_EQ(fit.variances(), (std::vector<double>{4, 1}));
  EXPECT_EQ(fit.residual_variance(), 0);
  EXPECT_EQ(fit.project(std::vector<float>{3, 5}), (std::vector<float>{5, 3}));
  // ½ (log (2π)²·4 + 9/1 + 25/4)
  EXPECT_NEAR(fit.log_densities(std::vector<float>{3, 5})[0],
              -(std::log(2 * std::acos(-1.0)) + std::log(2.0) + 9 / 2.0 + 25 / 8.0), 1e-12);
}

TEST(PrincipalComponents, HaveNoDensityWhereDataFillNoVolume) {
  // Two states, a line in space.
  const PrincipalComponents fit =
      PrincipalComponents::fit(std::vector<float>{0, 0, 0, 1, 2, 3}, 3, 2, 0);
  EXPECT_EQ(fit.components(), 1);
  EXPECT_NEAR(fit.variances()[0], 14 / 4.0, 1e-12);
  EXPECT_TRUE(std::isnan(fit.log_densities(std::vector<float>{1, 2, 3})[0]));
  // And none that vary.
  const PrincipalComponents constant =
      PrincipalComponents::fit(std::vector<float>(6, 0.1F), 2, 1, 0);
  EXPECT_TRUE(std::isnan(constant.log_densities(std::vector<float>{0, 0})[0]));
}

TEST(PrincipalComponents, OfStatesThatAreNotFiniteAreNan) {
  const std::vector<float> x = draws(50, {1, 2, 3});
  const PrincipalComponents fit = PrincipalComponents::fit(x, 3, 2, 0);
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const std::vector<float> states = {1, 2, 3, kInfinite, 0, 0, 0, NAN, 0, 3, 2, 1};
  const std::vector<float> projected = fit.project(states);
  const std::vector<double> densities = fit.log_densities(states);
  for (const std::size_t row : {0U, 1U, 2U, 3U}) {
    const bool finite = row == 0 || row == 3;
    EXPECT_EQ(std::isfinite(densities[row]), finite) << row;
    EXPECT_EQ(std::isnan(projected[2 * row]) && std::isnan(projected[2 * row + 1]), !finite);
  }
}

TEST(PrincipalComponents, RefuseWhatIsNoData) {
  const auto fit = [](const std::vector<float>& states, std::int64_t dimensions) {
    return PrincipalComponents::fit(states, dimensions, 1, 0);
  };
  EXPECT_THROW(fit({1, 2, 3}, 2), std::invalid_argument);
  EXPECT_THROW(fit({1, 2}, 2), std::invalid_argument);
  EXPECT_THROW(fit({1, 2}, 0), std::invalid_argument);
  EXPECT_THROW(fit({1, NAN}, 1), std::invalid_argument);
  EXPECT_TRUE(fit({1, 2}, 1).project({}).empty());
}

}  // namespace
}  // namespace ebm
