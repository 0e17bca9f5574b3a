// MALA has the energy's own law at any step size, where unadjusted Langevin dynamics visibly does
// not; and what the sampler records is what happened.

#include "cuda/mcmc/recorded_sampler.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "cuda/kernels/random_states.cuh"
#include "tests/separable_energy.h"

namespace ebm {
namespace {

// Means are held to 4 standard errors: a correct sampler fails one comparison in 16,000.
constexpr double kStandardErrors = 4;

constexpr float kTemperature = 0.3F;

/// U = ‖x‖²/2, so p = N(0, I).
std::unique_ptr<Energy> gaussian(std::int64_t dimensions) {
  constexpr double kT = kTemperature;
  return separable({[](double x) { return kT * x * x / 2; }, [](double x) { return kT * x; }},
                   dimensions);
}

/// Chains that begin uniform on (−1, 1).
RecordedSampler sampler_of(Energy& energy, bool mala, float epsilon, std::int64_t chains,
                           float temperature = kTemperature) {
  RecordedSampler sampler(
      energy, {.mala = mala, .epsilon = epsilon, .temperature = temperature, .seed = 5}, chains);
  fill_uniform({5, Purpose::sampling_states, 0}, 1.0F, chains, energy.state_size(),
               sampler.states().data());
  return sampler;
}

double mean_of(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double mean_power(std::span<const float> values, int power) {
  double sum = 0;
  for (const float x : values) {
    sum += std::pow(static_cast<double>(x), power);
  }
  return sum / static_cast<double>(values.size());
}

TEST(RecordedSampler, MalaHasTheGaussiansMomentsAtAnyStepSize) {
  const auto energy = gaussian(2);
  for (const float epsilon : {0.5F, 1.0F, 1.4F}) {
    RecordedSampler mala = sampler_of(*energy, true, epsilon, 20'000);
    mala.run(150);
    const auto n = static_cast<double>(mala.states().size());
    // Var x = 1, Var x² = 2, Var x³ = 15, Var x⁴ = 96.
    EXPECT_NEAR(mean_power(mala.states(), 1), 0, kStandardErrors * std::sqrt(1 / n)) << epsilon;
    EXPECT_NEAR(mean_power(mala.states(), 2), 1, kStandardErrors * std::sqrt(2 / n)) << epsilon;
    EXPECT_NEAR(mean_power(mala.states(), 3), 0, kStandardErrors * std::sqrt(15 / n)) << epsilon;
    EXPECT_NEAR(mean_power(mala.states(), 4), 3, kStandardErrors * std::sqrt(96 / n)) << epsilon;
    const double rate = mean_of(mala.accepted());
    EXPECT_GT(rate, 0.5) << epsilon;
    EXPECT_LT(rate, 0.999) << epsilon;

    // x ← (1 − ε²/2)x + εz has the variance 1/(1 − ε²/4).
    RecordedSampler unadjusted = sampler_of(*energy, false, epsilon, 20'000);
    unadjusted.run(150);
    const double e = static_cast<double>(epsilon);
    const double variance = 1 / (1 - e * e / 4);
    const double standard_error = variance * std::sqrt(2 / n);
    EXPECT_NEAR(mean_power(unadjusted.states(), 2), variance, kStandardErrors * standard_error);
    EXPECT_GT(variance - 1, 8 * standard_error);
  }
}

TEST(RecordedSampler, SmallStepsAreNearlyAllAccepted) {
  const auto energy = gaussian(10);
  double last = 0;
  for (const float epsilon : {1.0F, 0.3F, 0.1F, 0.01F}) {
    RecordedSampler mala = sampler_of(*energy, true, epsilon, 1000);
    mala.run(50);
    const double rate = mean_of(mala.accepted());
    EXPECT_GT(rate, last) << epsilon;
    last = rate;
  }
  EXPECT_GT(last, 0.9999);
}

TEST(RecordedSampler, WithoutNoiseChainsFollowTheGradientDown) {
  // x ← x − ∇U = 0 at once.
  const auto energy = gaussian(3);
  RecordedSampler sampler = sampler_of(*energy, false, 0.0F, 4);
  const std::vector<float> start(sampler.states().begin(), sampler.states().end());
  sampler.run(1);
  for (const float x : sampler.states()) {
    EXPECT_NEAR(x, 0, 1e-6);
  }
  const double norm = std::hypot(start[0], start[1], start[2]);
  EXPECT_NEAR(sampler.gradient_norms()[0], norm, 1e-6);
  EXPECT_NEAR(sampler.energies()[0], norm * norm / 2, 1e-6);
}

TEST(RecordedSampler, AProposalThatIsNotFiniteIsRefused) {
  const auto wall = separable(
      {[](double x) { return std::abs(x) > 1.5 ? std::nan("") : 0.0; }, [](double) { return 0.0; }},
      2);
  RecordedSampler mala = sampler_of(*wall, true, 0.8F, 200);
  mala.run(200);
  for (const float x : mala.states()) {
    ASSERT_LE(std::abs(x), 1.5F);
  }
  const double rate = mean_of(mala.accepted());
  EXPECT_GT(rate, 0.1);
  EXPECT_LT(rate, 0.9);
}

class NetworkChains : public testing::TestWithParam<bool> {
 protected:
  /// A network's energy for the number of threads there are now.
  static std::unique_ptr<Energy> make(const Network& network) {
    auto energy = make_cpu_energy(network);
    energy->set_parameters(initial_parameters(network, 9).span());
    return energy;
  }
  const Network toy_ = published_network("toy", 2, 32);
  const Network vanilla_ = published_network("vanilla", 1, 4);
};

TEST_P(NetworkChains, RecordWhatTheEnergySaysOfTheStatesBeforeEachStep) {
  constexpr float kEpsilon = 0.2F;
  constexpr std::int64_t kChains = 37;
  const auto energy = make(toy_);
  RecordedSampler all = sampler_of(*energy, GetParam(), kEpsilon, kChains, 0.05F);
  RecordedSampler one = sampler_of(*energy, GetParam(), kEpsilon, kChains, 0.05F);
  constexpr int kSteps = 20;
  all.run(kSteps);
  std::vector<float> f(kChains);
  std::vector<float> gradients(2 * kChains);
  for (std::size_t step = 0; step < kSteps; ++step) {
    const std::vector<float> before(one.states().begin(), one.states().end());
    energy->energies_and_gradients(before, f, gradients);
    one.run(1);
    for (std::size_t c = 0; c < kChains; ++c) {
      const std::size_t at = step * kChains + c;
      EXPECT_EQ(all.energies()[at], f[c] / 0.05F);
      EXPECT_EQ(one.energies()[c], f[c] / 0.05F);
      EXPECT_NEAR(all.gradient_norms()[at],
                  kEpsilon * kEpsilon / 0.1F * std::hypot(gradients[2 * c], gradients[2 * c + 1]),
                  1e-6);
      if (GetParam()) {
        const bool moved = !std::equal(before.begin() + 2 * static_cast<std::ptrdiff_t>(c),
                                       before.begin() + 2 * static_cast<std::ptrdiff_t>(c) + 2,
                                       one.states().begin() + 2 * static_cast<std::ptrdiff_t>(c));
        EXPECT_EQ(all.accepted()[at], moved ? 1.0F : 0.0F);
      }
    }
  }
  EXPECT_TRUE(std::ranges::equal(all.states(), one.states()));
  EXPECT_EQ(all.steps(), one.steps());
}

TEST_P(NetworkChains, AreTheSameForAnyNumberOfThreads) {
  const int threads_before = omp_get_max_threads();
  for (const Network* network : {&toy_, &vanilla_}) {
    std::vector<float> states;
    std::vector<float> energies;
    for (const int threads : {1, 2, 3}) {
      omp_set_num_threads(threads);
      const auto energy = make(*network);
      RecordedSampler sampler = sampler_of(*energy, GetParam(), 0.05F, 21, 0.01F);
      sampler.run(12);
      if (states.empty()) {
        states.assign(sampler.states().begin(), sampler.states().end());
        energies.assign(sampler.energies().begin(), sampler.energies().end());
      }
      EXPECT_TRUE(std::ranges::equal(sampler.states(), states)) << threads;
      EXPECT_TRUE(std::ranges::equal(sampler.energies(), energies)) << threads;
    }
  }
  omp_set_num_threads(threads_before);
}

INSTANTIATE_TEST_SUITE_P(Kinds, NetworkChains, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Mala" : "Langevin"; });

}  // namespace
}  // namespace ebm
