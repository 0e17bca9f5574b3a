// Annealed importance sampling against constants that are known: of Gaussians, by their formula; of
// networks on the plane, by a sum over a fine grid.

#include "cuda/mcmc/annealed_importance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/kernels/random_states.cuh"
#include "tests/support/goldens.h"
#include "tests/support/layers.h"
#include "tests/support/separable_energy.h"
#include "tests/support/tested_energy.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

constexpr float kTemperature = 0.3F;
constexpr BoxedEnergy kBox{.temperature = kTemperature, .low = -1, .high = 3};

/// U = Σ (x − 1)²/(2·0.2²): p is N(1, 0.2²) in every component; the box cuts off 10 deviations.
constexpr double kDeviation = 0.2;
std::unique_ptr<HostEnergy> gaussian(std::int64_t dimensions) {
  constexpr double kCurvature = static_cast<double>(kTemperature) / (kDeviation * kDeviation);
  return separable({[](double x) { return kCurvature * (x - 1) * (x - 1) / 2; },
                    [](double x) { return kCurvature * (x - 1); }},
                   dimensions);
}

/// log Z − log (high − low)^d.
double gaussian_truth(std::int64_t dimensions) {
  return static_cast<double>(dimensions) * std::log(std::sqrt(2 * M_PI) * kDeviation / 4);
}

/// Holds both ways to log Z − log (high − low)^d: by their standard errors, and what Jensen's
/// inequality says of them as a bracket.
void expect_bracket(const WeightMean& forward, const WeightMean& reverse, double truth) {
  EXPECT_LT(forward.mean_log - 3 * forward.mean_log_error, truth);
  EXPECT_GT(-reverse.mean_log + 3 * reverse.mean_log_error, truth);
  EXPECT_LT(forward.mean_log, -reverse.mean_log);
}
void expect_near(const WeightMean& forward, const WeightMean& reverse, double truth, double error) {
  EXPECT_NEAR(forward.log_mean, truth, 4 * forward.standard_error);
  EXPECT_NEAR(-reverse.log_mean, truth, 4 * reverse.standard_error);
  EXPECT_LT(forward.standard_error, error);
  EXPECT_LT(reverse.standard_error, error);
}

struct Gaussian {
  std::int64_t dimensions;
  std::int64_t chains;
  std::int64_t transitions;
  /// The standard errors' limit: 3 standard deviations of what 10 groups say (24% each) above
  /// √((e^v − 1)/chains), v the variance of log w, measured as 43 (2 dimensions) and
  /// 2,600 (50) over the transitions. 0 where they are not looked at: v is then above 100.
  double error;
};

class AnnealedGaussian : public testing::TestWithParam<Gaussian> {};

TEST_P(AnnealedGaussian, IsBracketed) {
  const auto [dimensions, chains, transitions, error] = GetParam();
  const auto energy = gaussian(dimensions);
  const AnnealingPath path = choose_annealing_path(energy->energy(), kBox, chains, transitions, 3);
  const WeightMean forward =
      weight_mean(annealed_forward(energy->energy(), kBox, path, chains, 4), 10);
  std::vector<float> exact(static_cast<std::size_t>(chains * dimensions), 1.0F);
  add_normal(energy->energy().queue(), {9, Purpose::sampling_states, 0},
             static_cast<float>(kDeviation), chains, dimensions, exact.data());
  const WeightMean reverse =
      weight_mean(annealed_reverse(energy->energy(), kBox, path, exact.data(), chains, 5), 10);
  const double truth = gaussian_truth(dimensions);
  expect_bracket(forward, reverse, truth);
  if (error > 0) {
    expect_near(forward, reverse, truth, error);
  }
}

INSTANTIATE_TEST_SUITE_P(Dimensions, AnnealedGaussian,
                         testing::Values(Gaussian{2, 200, 1000, 0.03},
                                         Gaussian{50, 100, 5000, 0.15}, Gaussian{1000, 20, 500, 0}),
                         [](const auto& instance) {
                           return std::to_string(instance.param.dimensions);
                         });

TEST(AnnealedGaussian, HasAPathThatRisesFromTheBoxsLaw) {
  const auto energy = gaussian(2);
  const AnnealingPath path = choose_annealing_path(energy->energy(), kBox, 100, 500, 3);
  ASSERT_EQ(path.beta.size(), 501U);
  ASSERT_EQ(path.steps.size(), 500U);
  EXPECT_EQ(path.beta.front(), 0);
  EXPECT_EQ(path.beta.back(), 1);
  EXPECT_TRUE(std::ranges::is_sorted(path.beta, std::less_equal<>()));
  for (std::size_t k = 0; k < path.steps.size(); ++k) {
    EXPECT_GT(path.steps[k].epsilon, 0);
    EXPECT_FLOAT_EQ(path.steps[k].temperature,
                    static_cast<float>(static_cast<double>(kTemperature) / path.beta[k + 1]));
  }
}

TEST(AnnealingPath, IsThinnedFromItsEnd) {
  const AnnealingPath path{.beta = {0, 0.1, 0.2, 0.5, 0.7, 1},
                           .steps = {{5, 10}, {4, 5}, {3, 2}, {2, 1.5F}, {1, 1}}};
  const AnnealingPath out = thinned(path, 2);
  EXPECT_EQ(out.beta, (std::vector<double>{0, 0.1, 0.5, 1}));
  ASSERT_EQ(out.steps.size(), 3U);
  EXPECT_EQ(out.steps[0].epsilon, 5);
  EXPECT_EQ(out.steps[1].epsilon, 3);
  EXPECT_EQ(out.steps[2].epsilon, 1);
  EXPECT_EQ(thinned(path, 100).beta, (std::vector<double>{0, 1}));
}

/// A network on the plane, with its constant as a sum over a grid.
TEST(AnnealedNetwork, IsBracketed) {
  const Network network = published_network("toy", 2, 8);
  const auto energy = make_tested_energy(network, 100);
  energy->set_parameters(golden_parameters(network, "annealed"));
  constexpr BoxedEnergy box{.temperature = 0.004F, .low = -2, .high = 2};
#ifdef EBM_EMULATED_CUDA  // which takes minutes for what a device does in a moment
  constexpr std::int64_t kChains = 20;
  constexpr std::int64_t kTransitions = 50;
  constexpr double kError = 0.5;
#else
  constexpr std::int64_t kChains = 200;
  constexpr std::int64_t kTransitions = 1000;
  constexpr double kError = 0.03;
#endif

  constexpr int kResolution = 200;
  std::vector<float> grid;
  for (int i = 0; i < kResolution * kResolution; ++i) {  // cells' centres
    grid.push_back(-2 + 4 * (static_cast<float>(i / kResolution) + 0.5F) / kResolution);
    grid.push_back(-2 + 4 * (static_cast<float>(i % kResolution) + 0.5F) / kResolution);
  }
  std::vector<float> f(grid.size() / 2);
  energy->energies(grid, f);
  const float least = *std::ranges::min_element(f);
  const float most = *std::ranges::max_element(f);
  ASSERT_GT((most - least) / box.temperature, 5) << "p is nearly uniform";
  double sum = 0;
  std::vector<double> cumulative;
  for (const float value : f) {
    sum += std::exp(-static_cast<double>(value - least) / static_cast<double>(box.temperature));
    cumulative.push_back(sum);
  }
  const double truth = std::log(sum / static_cast<double>(f.size())) -
                       static_cast<double>(least) / static_cast<double>(box.temperature);

  std::vector<float> exact;  // drawn from the grid's cells, and from a cell uniformly
  std::mt19937 words(11);
  std::uniform_real_distribution<double> uniform;
  for (std::int64_t c = 0; c < kChains; ++c) {
    const auto cell = static_cast<std::size_t>(
        std::ranges::lower_bound(cumulative, sum * uniform(words)) - cumulative.begin());
    for (const std::size_t i : {2 * cell, 2 * cell + 1}) {
      exact.push_back(grid[i] + static_cast<float>((uniform(words) - 0.5) * 4 / kResolution));
    }
  }
  const Queue queue = energy->energy().queue();
  const Mirror<const float> start(queue, exact);
  const AnnealingPath path = choose_annealing_path(energy->energy(), box, kChains, kTransitions, 3);
  const WeightMean forward =
      weight_mean(annealed_forward(energy->energy(), box, path, kChains, 4), 10);
  const WeightMean reverse =
      weight_mean(annealed_reverse(energy->energy(), box, path, start.data(), kChains, 5), 10);
  expect_bracket(forward, reverse, truth);
  expect_near(forward, reverse, truth, kError);

  // Moves leave p as it is.
  Mirror<float> moving(queue, exact);
  annealed_moves(energy->energy(), box, path, 1, moving.data(), kChains, 7);
  const WeightMean moved =
      weight_mean(annealed_reverse(energy->energy(), box, path, moving.data(), kChains, 6), 10);
  expect_near(forward, moved, truth, kError);
}

/// p is a fifth at 0 and four fifths at 2, in components of standard deviation 0.05: MALA does not
/// go from one to the other. Chains that all started at 0 are to be where p is.
TEST(AnnealedMoves, LeadBetweenModes) {
  constexpr int kChains = 500;
  constexpr double kT = static_cast<double>(kTemperature);
  const auto part = [](double x, double at) {
    return std::exp(-(x - at) * (x - at) / (2 * 0.05 * 0.05)) + 1e-200;
  };
  const auto energy =
      separable({[=](double x) { return -kT * std::log(0.2 * part(x, 0) + 0.8 * part(x, 2)); },
                 [=](double x) {
                   const double left = 0.2 * part(x, 0);
                   const double right = 0.8 * part(x, 2);
                   return kT * (left * x + right * (x - 2)) / (left + right) / (0.05 * 0.05);
                 }},
                1);
  const AnnealingPath path = choose_annealing_path(energy->energy(), kBox, kChains, 200, 3);
  std::vector<float> states(kChains, 0.0F);
  const double accepted =
      annealed_moves(energy->energy(), kBox, path, 20, states.data(), kChains, 5);
  EXPECT_GT(accepted, 0.3);
  const auto right = std::ranges::count_if(states, [](float x) { return x > 1; });
  // Four standard deviations of a binomial law: 6e-5 of false alarms.
  EXPECT_NEAR(static_cast<double>(right) / kChains, 0.8, 4 * std::sqrt(0.8 * 0.2 / kChains));
}

TEST(Annealing, IsTheSameBitsForAnyNumberOfThreads) {
  const auto compute = [](int count) {
    const Threads threads(count);
    const auto energy = gaussian(3);
    const AnnealingPath path = choose_annealing_path(energy->energy(), kBox, 130, 120, 3);
    std::vector<double> all = annealed_forward(energy->energy(), kBox, path, 130, 4);
    const std::vector<float> states(3 * 130, 1.0F);
    const std::vector<double> back =
        annealed_reverse(energy->energy(), kBox, path, states.data(), 130, 4);
    all.insert(all.end(), back.begin(), back.end());
    std::vector<float> moving = states;
    all.push_back(annealed_moves(energy->energy(), kBox, path, 2, moving.data(), 130, 4));
    all.insert(all.end(), moving.begin(), moving.end());
    return all;
  };
  EXPECT_EQ(compute(1), compute(3));
}

TEST(Annealing, AnEnergyThatIsNotFiniteIsADivergence) {
  const auto energy =
      separable({[](double x) { return x > 2 ? NAN : x; }, [](double) { return 1; }}, 1);
  EXPECT_THROW(choose_annealing_path(energy->energy(), kBox, 100, 10, 1), Divergence);
}

TEST(WeightMean, IsThatOfItsDefinition) {
  const std::vector<double> logs{1000, 1000 + std::log(3.0), 1000, 1000 + std::log(2.0), 1000};
  const WeightMean out = weight_mean(logs, 2);  // w/e^1000: 1, 3 | 1, 2 | 1
  EXPECT_NEAR(out.log_mean, 1000 + std::log(8.0 / 5), 1e-10);
  EXPECT_NEAR(out.mean_log, 1000 + std::log(6.0) / 5, 1e-10);
  EXPECT_NEAR(out.effective_size, 64.0 / 16, 1e-10);
  const double first = 2 / 1.6 - 1;
  const double second = 1.5 / 1.6 - 1;
  EXPECT_NEAR(out.standard_error, std::sqrt((first * first + second * second) / 2), 1e-10);
}

TEST(LogMeanBracket, IsThatOfItsDefinition) {
  // Two groups of two forward weights, 1 and 3, 2 and 2, with one way back each: 1/w = 5 and 1.
  const std::vector<double> forward{std::log(1.0), std::log(3.0), std::log(2.0), std::log(2.0)};
  const std::vector<double> reverse{-std::log(5.0), -std::log(1.0)};
  const LogMeanBracket out = log_mean_bracket(forward, reverse, 2);
  EXPECT_NEAR(out.forward, std::log(2.0), 1e-12);
  EXPECT_NEAR(out.forward_error, 0, 1e-12);
  const double above = std::log(9.0 / 3);
  const double below = std::log(5.0 / 3);
  EXPECT_NEAR(out.reverse, (above + below) / 2, 1e-12);
  EXPECT_NEAR(out.reverse_error, (above - below) / 2, 1e-12);
  EXPECT_NEAR(out.effective_size, 64.0 / 18, 1e-12);
  EXPECT_NEAR(out.lower(), std::log(2.0), 1e-12);
  EXPECT_NEAR(out.upper(), out.reverse + 3 * out.reverse_error, 1e-12);
}

TEST(LogMeanBracket, IsOfLogarithmsThatNoExponentialHolds) {
  const std::vector<double> forward(4, 5000);
  const std::vector<double> reverse(4, 9000);
  const LogMeanBracket out = log_mean_bracket(forward, reverse, 2);
  EXPECT_NEAR(out.forward, 5000, 1e-9);
  EXPECT_NEAR(out.reverse, 5000 + std::log(2.0 / 3), 1e-9);
}

}  // namespace
}  // namespace ebm
