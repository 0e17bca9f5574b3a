#include "cuda/diagnostics/density.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cuda/kernels/gaussian_kde.h"
#include "host/files/safetensors.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/places.h"

namespace ebm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The launcher under test.
KernelDensity estimated(const std::vector<float>& states, double bandwidth,
                        const std::vector<float>& axis) {
  KernelDensity result;
  run_kernel([&](KernelMemory& /*memory*/, const auto&... stream) {
    result = gaussian_kde(Queue(stream...), states, bandwidth, axis);
  });
  return result;
}

double relative_error(std::span<const float> values, std::span<const float> golden) {
  EXPECT_EQ(values.size(), golden.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < std::min(values.size(), golden.size()); ++i) {
    const auto expected = static_cast<double>(golden[i]);
    difference += std::pow(static_cast<double>(values[i]) - expected, 2);
    norm += expected * expected;
  }
  return std::sqrt(difference / norm);
}

double integral(std::span<const float> density, std::span<const float> axis) {
  return l1_distance(density, std::vector<float>(density.size(), 0.0F), axis);
}

/// f on the grid for which the learned density is N((mean, 0), sd² I).
std::vector<float> gaussian_energy(std::span<const float> axis, double mean, double sd,
                                   double epsilon) {
  const double f_per_energy = epsilon == 0 ? 1 : epsilon * epsilon / 2;
  std::vector<float> f;
  for (const float y : axis) {
    for (const float x : axis) {
      const double dx = static_cast<double>(x) - mean;
      const double square = dx * dx + static_cast<double>(y) * static_cast<double>(y);
      f.push_back(static_cast<float>(f_per_energy * square / (2 * sd * sd)));
    }
  }
  return f;
}

/// The additive-recurrence (quasi-random) points of a square: deterministic states to estimate
/// from.
std::vector<float> scattered_states(std::size_t count) {
  std::vector<float> states;
  for (std::size_t i = 0; i < count; ++i) {
    for (const double step : {0.7548776662466927, 0.5698402909980532}) {
      states.push_back(static_cast<float>(std::fmod(step * static_cast<double>(i), 1.0) - 0.5));
    }
  }
  return states;
}

struct GoldenCase {
  std::string name;
  ToyDensity truth;
  double bandwidth;
};

void PrintTo(const GoldenCase& golden, std::ostream* out) { *out << golden.name; }

class GoldenDensity : public testing::TestWithParam<GoldenCase> {
 protected:
  const std::vector<float>& golden(const std::string& tensor) {
    return file_.at(GetParam().name + "." + tensor).values;
  }

 private:
  TensorFile file_ = read_safetensors(test_data() / "densities.safetensors");
};

INSTANTIATE_TEST_SUITE_P(
    , GoldenDensity,
    testing::Values(GoldenCase{"gmm", {.kind = ToyDensity::Kind::gmm, .groups = 8}, 0.1},
                    GoldenCase{"rings", {.kind = ToyDensity::Kind::rings, .groups = 4}, 0.075}),
    [](const auto& test) { return test.param.name; });

TEST_P(GoldenDensity, AxisSpansTheWindow) {
  const auto& axis = golden("axis");
  EXPECT_LT(
      relative_error(grid_axis(GetParam().truth.half_width(), static_cast<int>(axis.size())), axis),
      1e-7);
}

TEST_P(GoldenDensity, TruthMatches) {
  EXPECT_LT(relative_error(true_density(GetParam().truth, golden("axis")), golden("density")),
            1e-5);
}

TEST_P(GoldenDensity, KdeMatchesScipy) {
  const KernelDensity kde = estimated(golden("points"), GetParam().bandwidth, golden("axis"));
  EXPECT_EQ(kde.left_out, 0U);
  EXPECT_LT(relative_error(kde.density, golden("kde")), 1e-5);
}

TEST_P(GoldenDensity, TruthIntegratesToOneOverTheWindow) {
  // What lies beyond 4 sd of a component's centre line is at most 2 · Φ(−4) = 6.4e-5 of it.
  const auto axis = grid_axis(GetParam().truth.half_width(), 200);
  EXPECT_NEAR(integral(true_density(GetParam().truth, axis), axis), 1.0, 7e-5);
}

TEST(Grid, StatesAreInTheOrderOfArrays) {
  const std::vector<float> axis = {-1, 0, 1};
  const std::vector<float> states = grid_states(axis);
  ASSERT_EQ(states.size(), 18U);
  const std::size_t row = 2;     // y
  const std::size_t column = 1;  // x
  EXPECT_EQ(states[2 * (3 * row + column)], axis[column]);
  EXPECT_EQ(states[2 * (3 * row + column) + 1], axis[row]);
}

TEST(LearnedDensity, IsTheGaussianOfAQuadraticEnergy) {
  const auto axis = grid_axis(4, 101);
  for (const double epsilon : {0.0, 0.01, 0.125}) {
    const auto density = learned_density(gaussian_energy(axis, 0, 0.5, epsilon), epsilon, axis);
    EXPECT_NEAR(integral(density, axis), 1.0, 1e-6) << epsilon;
    EXPECT_NEAR(*std::max_element(density.begin(), density.end()), 2 / std::numbers::pi, 1e-5);
  }
}

TEST(KlDivergence, IsZeroOfADensityFromItself) {
  const auto axis = grid_axis(4, 101);
  const auto f = gaussian_energy(axis, 0.3, 0.5, 0.125);
  EXPECT_NEAR(kl_divergence(learned_density(f, 0.125, axis), f, 0.125), 0.0, 1e-6);
}

TEST(KlDivergence, OfTwoGaussiansIsTheClosedForm) {
  const auto axis = grid_axis(4, 101);
  const double a = 0.5;
  const double b = 0.7;
  const double distance = 0.4;
  const auto p = learned_density(gaussian_energy(axis, distance, a, 0), 0, axis);
  const double expected =
      2 * std::log(b / a) + (a * a) / (b * b) - 1 + distance * distance / (2 * b * b);
  for (const double epsilon : {0.0, 0.01}) {
    EXPECT_NEAR(kl_divergence(p, gaussian_energy(axis, 0, b, epsilon), epsilon), expected, 1e-5);
  }
}

TEST(KlDivergence, StaysFiniteWhereTheLearnedDensityUnderflows) {
  // N((1, 0), 0.1² I) from N(0, 0.01² I): the closed form above, with log q down to −1e5.
  const auto axis = grid_axis(2, 801);
  const auto p = learned_density(gaussian_energy(axis, 1, 0.1, 0), 0, axis);
  const auto f = gaussian_energy(axis, 0, 0.01, 0.01);
  const auto q = learned_density(f, 0.01, axis);
  const std::size_t mode_of_p = 400 * 801 + 600;
  EXPECT_GT(p[mode_of_p], 15.0F);
  EXPECT_EQ(q[mode_of_p], 0.0F);
  const double expected = 2 * std::log(0.1) + 100 - 1 + 1 / (2 * 1e-4);
  EXPECT_NEAR(kl_divergence(p, f, 0.01), expected, 1e-3 * expected);
}

TEST(KlDivergence, OfANetworkThatDivergedIsNan) {
  const auto axis = grid_axis(1, 11);
  auto f = gaussian_energy(axis, 0, 1, 0);
  const auto p = learned_density(f, 0, axis);
  for (const std::size_t place : {std::size_t{0}, std::size_t{60}}) {
    auto broken = f;
    broken[place] = kNan;
    EXPECT_TRUE(std::isnan(kl_divergence(p, broken, 0)));
    EXPECT_TRUE(std::isnan(learned_density(broken, 0, axis)[5]));
  }
}

TEST(L1Distance, IsTwoForDensitiesThatDoNotOverlap) {
  const auto axis = grid_axis(4, 101);
  const auto left = learned_density(gaussian_energy(axis, -2, 0.2, 0), 0, axis);
  const auto right = learned_density(gaussian_energy(axis, 2, 0.2, 0), 0, axis);
  EXPECT_NEAR(l1_distance(left, right, axis), 2.0, 1e-5);
  EXPECT_EQ(l1_distance(left, left, axis), 0.0);
}

TEST(GaussianKde, HasTheSameBitsWhateverTheNumberOfThreads) {
  const auto states = scattered_states(1000);
  const auto axis = grid_axis(1, 37);  // not a multiple of any vector width
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto alone = estimated(states, 0.2, axis).density;
  omp_set_num_threads(5);
  const auto together = estimated(states, 0.2, axis).density;
  omp_set_num_threads(threads);
  EXPECT_EQ(alone, together);
}

TEST(GaussianKde, IntegratesToOneAndIsSymmetricUnderExchangeOfAxes) {
  auto states = scattered_states(500);
  for (std::size_t i = 0; i < states.size(); i += 2)
    states[i + 1] += 0.8F * states[i];  // correlated
  auto exchanged = states;
  for (std::size_t i = 0; i < states.size(); i += 2) std::swap(exchanged[i], exchanged[i + 1]);
  const auto axis = grid_axis(2.5, 90);
  const auto density = estimated(states, 0.3, axis).density;
  const auto transposed = estimated(exchanged, 0.3, axis).density;
  EXPECT_NEAR(integral(density, axis), 1.0,
              1e-5);  // the window reaches 6 kernel sd beyond all states
  std::vector<float> back;
  for (std::size_t row = 0; row < 90; ++row) {
    for (std::size_t column = 0; column < 90; ++column)
      back.push_back(transposed[90 * column + row]);
  }
  EXPECT_LT(relative_error(back, density), 1e-5);
}

TEST(GaussianKde, LeavesOutAndCountsStatesThatAreNotFinite) {
  const auto states = scattered_states(100);
  auto broken = states;
  broken.insert(broken.begin(), {kNan, 0.0F, 0.0F, kInfinity});
  broken.insert(broken.end(), {-kInfinity, kNan});
  const auto axis = grid_axis(1, 20);
  const auto estimate = estimated(broken, 0.2, axis);
  EXPECT_EQ(estimate.left_out, 3U);
  EXPECT_EQ(estimate.density, estimated(states, 0.2, axis).density);
}

TEST(GaussianKde, IsZeroForStatesThatDoNotSpanThePlane) {
  const auto axis = grid_axis(1, 20);
  const std::vector<float> zero(axis.size() * axis.size(), 0.0F);
  std::vector<float> point;
  std::vector<float> line;
  for (int i = 0; i < 50; ++i) {
    const float t = static_cast<float>(i) / 50;
    point.insert(point.end(), {0.3F, 0.1F});
    line.insert(line.end(), {t, 0.1F + 0.7F * t});
  }
  EXPECT_EQ(estimated(point, 0.2, axis).density, zero);
  EXPECT_EQ(estimated(line, 0.2, axis).density, zero);
  EXPECT_EQ(estimated(std::vector<float>{0, 0, 1, 1}, 0.2, axis).density, zero);
  EXPECT_EQ(estimated(std::vector<float>{}, 0.2, axis).density, zero);
  EXPECT_EQ(estimated(std::vector<float>{kNan, 0}, 0.2, axis).left_out, 1U);
}

TEST(GaussianKde, IsFiniteForChainsThatExplodeOrCollapse) {
  const auto axis = grid_axis(1, 20);
  for (const float scale : {1e-42F, 1e-20F, 1e-5F, 1e20F, 3e38F}) {
    auto states = scattered_states(100);
    for (float& value : states) value *= scale;
    const auto density = estimated(states, 0.1, axis).density;
    EXPECT_TRUE(std::all_of(density.begin(), density.end(), [](float value) {
      return std::isfinite(value) && value >= 0;
    })) << scale;
  }
}

}  // namespace
}  // namespace ebm
