// MALA has the energy's own law at any step size, where unadjusted Langevin dynamics visibly does
// not; and what the sampler records is what happened.

#include "cuda/mcmc/recorded_sampler.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda/kernels/random_states.cuh"
#include "tests/support/separable_energy.h"
#include "tests/support/tested_energy.h"

namespace ebm {
namespace {

// Means are held to 4 standard errors: a correct sampler fails one comparison in 16,000.
constexpr double kStandardErrors = 4;

constexpr float kTemperature = 0.3F;

/// U = ‖x‖²/2, so p = N(0, I).
std::unique_ptr<HostEnergy> gaussian(std::int64_t dimensions) {
  constexpr double kT = kTemperature;
  return separable({[](double x) { return kT * x * x / 2; }, [](double x) { return kT * x; }},
                   dimensions);
}

/// Chains that begin uniform on (−1, 1).
RecordedSampler sampler_of(HostEnergy& energy, bool mala, float epsilon, std::int64_t chains,
                           float temperature = kTemperature) {
  RecordedSampler sampler(energy.energy(),
                          {.mala = mala, .epsilon = epsilon, .temperature = temperature, .seed = 5},
                          chains);
  fill_uniform(energy.energy().queue(), {5, Purpose::sampling_states, 0}, 1.0F, chains,
               energy.state_size(), sampler.states());
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
    const auto n = static_cast<double>(mala.read_states().size());
    // Var x = 1, Var x² = 2, Var x³ = 15, Var x⁴ = 96.
    EXPECT_NEAR(mean_power(mala.read_states(), 1), 0, kStandardErrors * std::sqrt(1 / n))
        << epsilon;
    EXPECT_NEAR(mean_power(mala.read_states(), 2), 1, kStandardErrors * std::sqrt(2 / n))
        << epsilon;
    EXPECT_NEAR(mean_power(mala.read_states(), 3), 0, kStandardErrors * std::sqrt(15 / n))
        << epsilon;
    EXPECT_NEAR(mean_power(mala.read_states(), 4), 3, kStandardErrors * std::sqrt(96 / n))
        << epsilon;
    const double rate = mean_of(mala.accepted());
    EXPECT_GT(rate, 0.5) << epsilon;
    EXPECT_LT(rate, 0.999) << epsilon;

    // x ← (1 − ε²/2)x + εz has the variance 1/(1 − ε²/4).
    RecordedSampler unadjusted = sampler_of(*energy, false, epsilon, 20'000);
    unadjusted.run(150);
    const double e = static_cast<double>(epsilon);
    const double variance = 1 / (1 - e * e / 4);
    const double standard_error = variance * std::sqrt(2 / n);
    EXPECT_NEAR(mean_power(unadjusted.read_states(), 2), variance,
                kStandardErrors * standard_error);
    EXPECT_GT(variance - 1, 8 * standard_error);
  }
}

// The law is N(0, 1) on [−0.5, 1]: with φ and Φ at its ends, Z = Φ(1) − Φ(−0.5),
// E x = (φ(−0.5) − φ(1))/Z and E x² = 1 + (−0.5·φ(−0.5) − 1·φ(1))/Z.
TEST(RecordedSampler, MalaInABoxHasTheLawOfTheBox) {
  const auto energy = gaussian(1);
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); };
  const double low = density(-0.5);
  const double high = density(1);
  const double z = (std::erf(1 / std::sqrt(2.0)) + std::erf(0.5 / std::sqrt(2.0))) / 2;
  const double mean = (low - high) / z;
  const double square = 1 + (-0.5 * low - high) / z;
  for (const float epsilon : {0.3F, 1.0F}) {
    constexpr std::int64_t kChains = 20'000;
    RecordedSampler mala(energy->energy(),
                         {.mala = true,
                          .epsilon = epsilon,
                          .temperature = kTemperature,
                          .seed = 5,
                          .clamp = std::pair(-0.5F, 1.0F)},
                         kChains);
    fill_uniform(energy->energy().queue(), {5, Purpose::sampling_states, 0}, 0.5F, kChains, 1,
                 mala.states());
    mala.run(150);
    EXPECT_TRUE(
        std::ranges::all_of(mala.read_states(), [](float x) { return x >= -0.5F && x <= 1.0F; }));
    const auto n = static_cast<double>(kChains);
    EXPECT_NEAR(mean_power(mala.read_states(), 1), mean,
                kStandardErrors * std::sqrt((square - mean * mean) / n))
        << epsilon;
    // 0 ≤ x² ≤ 1, so that its variance is at most its mean.
    EXPECT_NEAR(mean_power(mala.read_states(), 2), square, kStandardErrors * std::sqrt(square / n))
        << epsilon;
  }
}

TEST(RecordedSampler, LangevinStepsArePutBackIntoTheBox) {
  const auto energy = gaussian(3);
  RecordedSampler sampler(
      energy->energy(),
      {.epsilon = 0.5F, .temperature = kTemperature, .seed = 5, .clamp = std::pair(-0.5F, 1.0F)},
      100);
  fill_uniform(energy->energy().queue(), {5, Purpose::sampling_states, 0}, 1.0F, 100, 3,
               sampler.states());
  sampler.run(20);
  const std::span<const float> x = sampler.read_states();
  EXPECT_EQ(*std::ranges::min_element(x), -0.5F);
  EXPECT_EQ(*std::ranges::max_element(x), 1.0F);
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
  const std::vector<float> start(sampler.read_states().begin(), sampler.read_states().end());
  sampler.run(1);
  for (const float x : sampler.read_states()) {
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
  for (const float x : mala.read_states()) {
    ASSERT_LE(std::abs(x), 1.5F);
  }
  const double rate = mean_of(mala.accepted());
  EXPECT_GT(rate, 0.1);
  EXPECT_LT(rate, 0.9);
}

TEST(Energy, RefusesMalaThatIsNotRecorded) {
  const auto energy = gaussian(2);
  std::vector<float> states(2);
  std::vector<float> norm_sums(1);
  EXPECT_THROW(energy->langevin({.mala = true, .steps = 1}, states, norm_sums),
               std::invalid_argument);
}

class NetworkChains : public testing::TestWithParam<bool> {
 protected:
  /// A network's energy, on the CPU for the number of threads there are now.
  static std::unique_ptr<HostEnergy> make(const Network& network) {
    auto energy = make_tested_energy(network, kCapacity);
    energy->set_parameters(initial_parameters(network, 9).span());
    return energy;
  }
  void expect_records_of_each_step(const Network& network, std::int64_t chains, int steps) const;

  static constexpr std::int64_t kCapacity = 2;  // of a ConvNet on a device
  const Network toy_ = published_network("toy", 2, 32);
  const Network vanilla_ = published_network("vanilla", 1, 4);
};

/// All steps in one call, one by one, and by one sampler after another: the same, and what the
/// energy says of the states between.
void NetworkChains::expect_records_of_each_step(const Network& network, std::int64_t chains,
                                                int steps) const {
  constexpr float kEpsilon = 0.2F;
  constexpr float kT = 0.05F;
  constexpr double kScale = 0.2 * 0.2 / 2 / 0.05;
  const auto energy = make(network);
  RecordedSampler all = sampler_of(*energy, GetParam(), kEpsilon, chains, kT);
  RecordedSampler one = sampler_of(*energy, GetParam(), kEpsilon, chains, kT);
  all.run(steps);
  RecordedSampler first = sampler_of(*energy, GetParam(), kEpsilon, chains, kT);
  first.run(steps / 3);
  RecordedSampler second = sampler_of(*energy, GetParam(), kEpsilon, chains, kT);
  second.run(1);
  second.go_on_with(first.read_chains());
  EXPECT_EQ(second.steps(), steps / 3);
  second.run(steps - steps / 3);
  EXPECT_TRUE(std::ranges::equal(all.read_states(), second.read_states()));
  EXPECT_TRUE(std::ranges::equal(all.energies().last(second.energies().size()), second.energies()));
  const auto count = static_cast<std::size_t>(chains);
  const auto size = static_cast<std::size_t>(network.input().size());
  std::vector<float> f(count);
  std::vector<float> gradients(count * size);
  for (std::size_t step = 0; step < static_cast<std::size_t>(steps); ++step) {
    const std::span<const float> states = one.read_states();
    const std::vector<float> before(states.begin(), states.end());
    energy->energies_and_gradients(before, f, gradients);
    one.run(1);
    for (std::size_t c = 0; c < count; ++c) {
      const std::size_t at = step * count + c;
      ASSERT_EQ(all.energies()[at], f[c] / kT);
      ASSERT_EQ(one.energies()[c], f[c] / kT);
      const std::span<const float> gradient = std::span(gradients).subspan(c * size, size);
      const double norm =
          kScale * std::sqrt(std::transform_reduce(gradient.begin(), gradient.end(), 0.0,
                                                   std::plus<>(), [](double g) { return g * g; }));
      ASSERT_NEAR(all.gradient_norms()[at], norm, 1e-6 * (1 + norm));
      if (GetParam()) {
        const bool moved = !std::ranges::equal(std::span(before).subspan(c * size, size),
                                               one.read_states().subspan(c * size, size));
        ASSERT_EQ(all.accepted()[at], moved ? 1.0F : 0.0F);
      }
    }
  }
  EXPECT_TRUE(std::ranges::equal(all.read_states(), one.read_states()));
  EXPECT_EQ(all.steps(), one.steps());
}

TEST_P(NetworkChains, RecordWhatTheEnergySaysOfTheStatesBeforeEachStep) {
  expect_records_of_each_step(toy_, 37, 70);  // more than a device takes in one graph
  expect_records_of_each_step(vanilla_, 2 * kCapacity + 1, 3);
}

#if defined(EBM_TEST_ON_CUDA) && defined(EBM_EMULATED_CUDA)
TEST_P(NetworkChains, TakeTheHostNothingPerStep) {
  const auto energy = make(vanilla_);
  RecordedSampler sampler = sampler_of(*energy, GetParam(), 0.01F, kCapacity);
  sampler.run(1);
  sampler.run(4);  // captured from now on
  const auto counts_of = [&](int steps) {
    const emulated_cuda::Counts before = emulated_cuda::counts();
    sampler.run(steps);
    const emulated_cuda::Counts after = emulated_cuda::counts();
    return std::array{after.kernels - before.kernels, after.graphs - before.graphs,
                      after.allocations - before.allocations,
                      after.synchronizations - before.synchronizations};
  };
  const auto once = counts_of(1);
  EXPECT_EQ(once[1], 1U);
  EXPECT_EQ(once[2], 0U);
  EXPECT_EQ(counts_of(4), once);
}
#endif

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
        states.assign(sampler.read_states().begin(), sampler.read_states().end());
        energies.assign(sampler.energies().begin(), sampler.energies().end());
      }
      EXPECT_TRUE(std::ranges::equal(sampler.read_states(), states)) << threads;
      EXPECT_TRUE(std::ranges::equal(sampler.energies(), energies)) << threads;
    }
  }
  omp_set_num_threads(threads_before);
}

INSTANTIATE_TEST_SUITE_P(Kinds, NetworkChains, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Mala" : "Langevin"; });

}  // namespace
}  // namespace ebm
