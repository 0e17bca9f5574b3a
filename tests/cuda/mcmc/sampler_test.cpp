// Langevin sampling against the exact stationary law of the discretized chain, which is not that of
// the diffusion: at these step sizes the two are many standard errors apart, and the tests say so.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <numbers>
#include <numeric>
#include <vector>

#include "cuda/kernels/random_states.cuh"
#include "cuda/mcmc/chain_runner.h"
#include "cuda/nn/cpu/cpu_energy.h"
#include "cuda/nn/cpu/tiled_energy.h"
#include "tests/support/layers.h"
#include "tests/support/separable_energy.h"

namespace ebm {
namespace {

// Means are held to 4 standard errors: a correct sampler fails one comparison in 16,000.
constexpr double kStandardErrors = 4;

/// Runs Langevin steps, and returns the gradient strength of these.
double run(HostEnergy& energy, const LangevinUpdate& update, int steps,
           std::vector<float>& states) {
  std::vector<float> norm_sums(states.size() / static_cast<std::size_t>(energy.state_size()));
  energy.langevin({.update = update, .steps = steps}, states, norm_sums);
  return std::accumulate(norm_sums.begin(), norm_sums.end(), 0.0) /
         (steps * static_cast<double>(norm_sums.size()));
}

/// States of `chains` chains after `steps` steps from N(0, 1).
std::vector<float> sample(HostEnergy& energy, float epsilon, int steps, std::int64_t chains) {
  std::vector<float> states(static_cast<std::size_t>(chains * energy.state_size()));
  fill_normal(Queue(), {7, Purpose::initial_states, 1}, 1.0F, chains, energy.state_size(),
              states.data());
  run(energy, {.epsilon = epsilon, .noise = {7, Purpose::langevin, 1}}, steps, states);
  return states;
}

/// The stationary law of x ← x − slope(x) + εz on a grid, by applying the chain's transition
/// density to a first guess until nothing changes.
class DiscretizedLaw {
 public:
  DiscretizedLaw(const SeparableTile::Potential& potential, double epsilon, double reach)
      : points_(kPoints), weights_(kPoints) {
    for (int i = 0; i < kPoints; ++i) {
      points_[at(i)] = reach * (2.0 * i / (kPoints - 1) - 1.0);
      weights_[at(i)] = std::exp(-potential.value(points_[at(i)]) / (epsilon * epsilon / 2));
    }
    normalize();
    std::vector<double> transition(static_cast<std::size_t>(kPoints) * kPoints);
    for (int i = 0; i < kPoints; ++i) {
      const double centre = points_[at(i)] - potential.slope(points_[at(i)]);
      double sum = 0;
      for (int j = 0; j < kPoints; ++j) {
        const double z = (points_[at(j)] - centre) / epsilon;
        sum += transition[at(i) * kPoints + at(j)] = std::exp(-z * z / 2);
      }
      for (int j = 0; j < kPoints; ++j) {
        transition[at(i) * kPoints + at(j)] /= sum;
      }
    }
    double change = 1;
    while (change > 1e-10) {
      std::vector<double> next(kPoints);
      for (int i = 0; i < kPoints; ++i) {
        for (int j = 0; j < kPoints; ++j) {
          next[at(j)] += weights_[at(i)] * transition[at(i) * kPoints + at(j)];
        }
      }
      change = 0;
      for (int i = 0; i < kPoints; ++i) {
        change += std::abs(next[at(i)] - weights_[at(i)]);
      }
      weights_.swap(next);
      normalize();
    }
  }

  double mean(const std::function<double(double)>& g) const {
    double sum = 0;
    for (int i = 0; i < kPoints; ++i) {
      sum += weights_[at(i)] * g(points_[at(i)]);
    }
    return sum;
  }

 private:
  static constexpr int kPoints = 1201;

  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  void normalize() {
    double sum = 0;
    for (const double w : weights_) {
      sum += w;
    }
    for (double& w : weights_) {
      w /= sum;
    }
  }

  std::vector<double> points_;
  std::vector<double> weights_;
};

struct Moment {
  const char* name;
  std::function<double(double)> g;
};

const std::vector<Moment>& moments() {
  static const std::vector<Moment> all{{"E x", [](double x) { return x; }},
                                       {"E x^2", [](double x) { return x * x; }},
                                       {"E |x|", [](double x) { return std::abs(x); }},
                                       {"E x^4", [](double x) { return x * x * x * x; }}};
  return all;
}

void expect_law(const std::vector<float>& states, const DiscretizedLaw& law) {
  for (const Moment& moment : moments()) {
    double sum = 0;
    for (const float x : states) {
      sum += moment.g(static_cast<double>(x));
    }
    const auto n = static_cast<double>(states.size());
    const double exact = law.mean(moment.g);
    const double variance = law.mean([&](double x) { return std::pow(moment.g(x) - exact, 2); });
    EXPECT_NEAR(sum / n, exact, kStandardErrors * std::sqrt(variance / n)) << moment.name;
  }
}

TEST(Sampler, GaussianEnergyHasTheDiscretizedChainsVariance) {
  // f = a x²/2: x' = (1−a)x + εz is an AR(1) process, variance ε²/(1−(1−a)²) against the
  // diffusion's ε²/(2a).
  constexpr double kA = 0.2;
  constexpr float kEpsilon = 0.3F;
  constexpr std::int64_t kChains = 10'000;
  constexpr std::int64_t kDimensions = 5;
  const auto energy = separable(
      {[](double x) { return kA * x * x / 2; }, [](double x) { return kA * x; }}, kDimensions);
  const std::vector<float> states = sample(*energy, kEpsilon, 200, kChains);
  const double epsilon = static_cast<double>(kEpsilon);
  const double variance = epsilon * epsilon / (1 - (1 - kA) * (1 - kA));
  const double diffusion = epsilon * epsilon / (2 * kA);
  double mean = 0;
  double square = 0;
  for (const float x : states) {
    mean += static_cast<double>(x);
    square += static_cast<double>(x) * static_cast<double>(x);
  }
  const auto n = static_cast<double>(states.size());
  const double standard_error = variance * std::sqrt(2 / n);
  EXPECT_NEAR(mean / n, 0, kStandardErrors * std::sqrt(variance / n));
  EXPECT_NEAR(square / n, variance, kStandardErrors * standard_error);
  EXPECT_GT(std::abs(square / n - diffusion), 10 * standard_error);
}

TEST(Sampler, GradientStrengthOfAGaussianEnergyIsItsExpectation) {
  // ‖∇f‖ = a‖x‖ with x ~ N(0, s²I) in d dimensions: E = a s √2 Γ((d+1)/2)/Γ(d/2), from the first
  // step on when the chains start from the stationary law.
  constexpr double kA = 0.1;
  constexpr float kEpsilon = 0.2F;
  constexpr std::int64_t kChains = 4000;
  constexpr std::int64_t kDimensions = 6;
  const auto energy = separable(
      {[](double x) { return kA * x * x / 2; }, [](double x) { return kA * x; }}, kDimensions);
  const double s = static_cast<double>(kEpsilon) / std::sqrt(1 - (1 - kA) * (1 - kA));
  std::vector<float> states(static_cast<std::size_t>(kChains * kDimensions));
  fill_normal(Queue(), {3, Purpose::initial_states, 1}, static_cast<float>(s), kChains, kDimensions,
              states.data());
  const double r =
      run(*energy, {.epsilon = kEpsilon, .noise = {3, Purpose::langevin, 1}}, 10, states);
  const double chi =
      std::sqrt(2.0) * std::tgamma((kDimensions + 1) / 2.0) / std::tgamma(kDimensions / 2.0);
  const double deviation = kA * s * std::sqrt(kDimensions - chi * chi);
  // The steps of a chain are correlated; one step's error is a bound for the mean of ten.
  EXPECT_NEAR(r, kA * s * chi, kStandardErrors * deviation / std::sqrt(double{kChains}));
}

TEST(Sampler, MixtureHasTheDiscretizedChainsLaw) {
  // U = −log of a mixture of two normals, f = U·ε²/2.
  constexpr float kEpsilon = 0.35F;
  constexpr double kHalfStep = 0.35 * 0.35 / 2;
  const auto component = [](double x, double weight, double mean, double sd) {
    const double z = (x - mean) / sd;
    return weight / sd * std::exp(-z * z / 2);
  };
  const auto density = [=](double x) {
    return component(x, 0.3, -0.8, 0.4) + component(x, 0.7, 0.6, 0.5);
  };
  const auto slope = [=](double x) {
    const double pull = component(x, 0.3, -0.8, 0.4) * (x + 0.8) / (0.4 * 0.4) +
                        component(x, 0.7, 0.6, 0.5) * (x - 0.6) / (0.5 * 0.5);
    return kHalfStep * pull / density(x);
  };
  const SeparableTile::Potential potential{
      [=](double x) { return -kHalfStep * std::log(density(x)); }, slope};
  const std::vector<float> states = sample(*separable(potential, 2), kEpsilon, 400, 20'000);
  expect_law(states, DiscretizedLaw(potential, static_cast<double>(kEpsilon), 4.0));
}

/// f(x) = c·|x| as a network: LeakyReLU(x) + LeakyReLU(−x) = 0.95|x|. Its density is Laplace's.
constexpr double kSlope = 0.1;
const SeparableTile::Potential kLaplace{[](double x) { return kSlope * std::abs(x); },
                                        [](double x) { return x > 0 ? kSlope : -kSlope; }};

Network laplace_network(bool as_perceptron) {
  std::vector<Layer> layers;
  if (!as_perceptron) {
    layers.push_back(flatten());
  }
  layers.push_back(linear("a", 2));
  layers.push_back(leaky_relu());
  layers.push_back(linear("b", 1));
  return {"laplace", {1, 1, 1}, layers};
}

class LaplaceNetwork : public testing::TestWithParam<bool> {};

TEST_P(LaplaceNetwork, HasTheDiscretizedChainsLaw) {
  constexpr float kEpsilon = 0.25F;
  const auto energy = std::make_unique<HostEnergy>(make_cpu_energy(laplace_network(GetParam())));
  const float c = static_cast<float>(kSlope / 0.95);
  energy->set_parameters(std::vector<float>{1, -1, 0, 0, c, c, 0});
  const std::vector<float> states = sample(*energy, kEpsilon, 300, 20'000);
  const DiscretizedLaw law(kLaplace, static_cast<double>(kEpsilon), 5.0);
  expect_law(states, law);
  // Laplace with scale ε²/(2c) has E|x| = ε²/(2c); the chain's is larger.
  const double diffusion = 0.25 * 0.25 / (2 * kSlope);
  EXPECT_GT(law.mean([](double x) { return std::abs(x); }), 1.02 * diffusion);
}

INSTANTIATE_TEST_SUITE_P(Executors, LaplaceNetwork, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Fused" : "OneDnn"; });

/// f(x) = Σ a·xᵢ²/2 of two components as a network: ∂f/∂xᵢ rises by a·h at knots h apart, each a
/// LeakyReLU unit, and a unit that is always on sets its level.
constexpr double kCurvature = 0.15;
constexpr double kKnotDistance = 0.05;
constexpr double kOutermostKnot = 3;

double knot(int k) { return kKnotDistance * k - kOutermostKnot; }
int knots() { return static_cast<int>(std::lround(2 * kOutermostKnot / kKnotDistance)) + 1; }

/// The slope that the network has in exact arithmetic.
double gaussian_slope(double x) {
  double slope = -kCurvature * (kOutermostKnot + kKnotDistance / 2);
  for (int k = 0; k < knots() && knot(k) < x; ++k) {
    slope += kCurvature * kKnotDistance;
  }
  return slope;
}

std::unique_ptr<HostEnergy> gaussian_network(bool as_perceptron) {
  const int units = knots() + 1;
  std::vector<Layer> layers;
  if (!as_perceptron) {
    layers.push_back(flatten());
  }
  layers.push_back(linear("a", 2 * units));
  layers.push_back(leaky_relu());
  layers.push_back(linear("b", 1));
  const auto n = static_cast<std::size_t>(units);
  std::vector<float> in(4 * n);
  std::vector<float> in_bias(2 * n);
  std::vector<float> out(2 * n);
  const double rise = kCurvature * kKnotDistance / (1 - 0.05);
  for (std::size_t component = 0; component < 2; ++component) {
    for (std::size_t unit = 0; unit < n; ++unit) {
      const std::size_t at = component * n + unit;
      const bool level = unit + 1 == n;
      in[2 * at + component] = 1;
      in_bias[at] = level ? 100.0F : static_cast<float>(-knot(static_cast<int>(unit)));
      out[at] = static_cast<float>(level ? gaussian_slope(-100) - 0.05 * rise * knots() : rise);
    }
  }
  std::vector<float> theta = in;
  theta.insert(theta.end(), in_bias.begin(), in_bias.end());
  theta.insert(theta.end(), out.begin(), out.end());
  theta.push_back(0);
  auto energy =
      std::make_unique<HostEnergy>(make_cpu_energy(Network("gaussian", {2, 1, 1}, layers)));
  energy->set_parameters(theta);
  return energy;
}

class GaussianNetwork : public testing::TestWithParam<bool> {};

TEST_P(GaussianNetwork, HasTheDiscretizedChainsLaw) {
  constexpr float kEpsilon = 0.25F;
  const std::vector<float> states = sample(*gaussian_network(GetParam()), kEpsilon, 200, 10'000);
  const DiscretizedLaw law({[](double x) { return kCurvature * x * x / 2; }, gaussian_slope}, 0.25,
                           3.0);
  expect_law(states, law);
  // And the law is that of the AR(1) process to the fineness of the knots, not the diffusion's.
  const double square = law.mean([](double x) { return x * x; });
  EXPECT_NEAR(square, 0.0625 / (1 - (1 - kCurvature) * (1 - kCurvature)), 0.002);
  EXPECT_GT(square, 1.05 * 0.0625 / (2 * kCurvature));
}

INSTANTIATE_TEST_SUITE_P(Executors, GaussianNetwork, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Fused" : "OneDnn"; });

TEST(Sampler, StepsInTwoCallsAreTheStepsOfOne) {
  const auto energy =
      std::make_unique<HostEnergy>(make_cpu_energy(published_network("toy", 2, 32)));
  const Buffer<float> theta = initial_parameters(published_network("toy", 2, 32), 5);
  energy->set_parameters(theta.span());
  const RandomStream noise{11, Purpose::langevin, 4};
  std::vector<float> once(2 * 40, 0.1F);
  std::vector<float> twice = once;
  const LangevinUpdate update{.epsilon = 0.125F, .noise = noise};
  LangevinUpdate later = update;
  later.step = 20;
  run(*energy, update, 50, once);
  run(*energy, update, 20, twice);
  run(*energy, later, 30, twice);
  EXPECT_EQ(once, twice);
}

TEST(Sampler, ClampKeepsEveryComponentInside) {
  const auto energy = separable({[](double) { return 0.0; }, [](double) { return 0.0; }}, 3);
  std::vector<float> states(3 * 200);
  run(*energy, {.epsilon = 0.5F, .lowest = -1, .highest = 0.5F, .noise = {1, Purpose::langevin, 1}},
      30, states);
  EXPECT_EQ(*std::ranges::max_element(states), 0.5F);
  EXPECT_EQ(*std::ranges::min_element(states), -1.0F);
}

}  // namespace
}  // namespace ebm
