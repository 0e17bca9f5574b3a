// One Langevin step of the states: its arithmetic, its noise, and what it must not depend on.

#include "cuda/kernels/langevin_update.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

/// Chains before a step, or after one.
struct Chains {
  std::uint32_t first = 0;  ///< number of the first chain in the noise
  std::int64_t size = 0;    ///< components of a state
  std::vector<float> states;
  std::vector<float> norm_sums;
};

std::size_t as_size(std::int64_t n) { return static_cast<std::size_t>(n); }

Chains some_chains(int count, std::int64_t size) {
  const std::size_t values = as_size(count * size);
  return {.size = size,
          .states = numbers(values, 1),
          .norm_sums = std::vector<float>(as_size(count), 0.0F)};
}

/// The launcher under test. Without `noise` the chains draw their own.
Chains moved(const LangevinUpdate& update, Chains chains, const std::vector<float>& gradients,
             const std::vector<float>& noise = {}) {
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    langevin_update(stream..., update, chains.first, static_cast<int>(chains.norm_sums.size()),
                    chains.size, memory.in(gradients), memory.in(noise),
                    memory.in_out(chains.states), memory.in_out(chains.norm_sums));
  });
  return chains;
}

LangevinUpdate noisy_update(float epsilon) {
  return {.epsilon = epsilon,
          .noise = {.seed = 123, .purpose = Purpose::langevin, .iteration = 4},
          .step = 17};
}

/// The noise of chains first, first + 1, …, one component at a time.
std::vector<float> naive_noise(const LangevinUpdate& update, const Chains& chains) {
  std::vector<float> noise;
  for (std::uint32_t c = 0; c < chains.norm_sums.size(); ++c) {
    for (std::uint32_t i = 0; i < chains.size; ++i) {
      noise.push_back(update.noise_of(chains.first + c, i / 4).v[i % 4]);
    }
  }
  return noise;
}

/// x − g + εz and ‖g‖ in float64; a difference is allowed `roundings` of the terms' magnitude.
void expect_step(const LangevinUpdate& update, const Chains& before,
                 const std::vector<float>& gradients, const std::vector<float>& noise,
                 const Chains& after, double roundings) {
  const auto epsilon = static_cast<double>(update.epsilon);
  for (std::size_t c = 0; c < before.norm_sums.size(); ++c) {
    double sum_of_squares = 0;
    for (std::size_t i = c * as_size(before.size); i < (c + 1) * as_size(before.size); ++i) {
      const auto x = static_cast<double>(before.states[i]);
      const auto g = static_cast<double>(gradients[i]);
      const auto z = static_cast<double>(noise[i]);
      sum_of_squares += g * g;
      ASSERT_NEAR(after.states[i], x - g + epsilon * z,
                  roundings * kRounding * (std::abs(x) + std::abs(g) + std::abs(epsilon * z)))
          << "chain " << c << ", value " << i;
    }
    const double norm = std::sqrt(sum_of_squares);
    // A sum's roundings are as many as its terms, where a build adds them one by one.
    const double bound = 1e-6 * std::max(1.0, static_cast<double>(before.size) / 3072);
    EXPECT_NEAR(after.norm_sums[c], static_cast<double>(before.norm_sums[c]) + norm, bound * norm)
        << "chain " << c;
  }
}

// Around the kernels' groups of 4, blocks of 64 and turns of 3,072; the toy state and the colour
// image.
class LangevinUpdateSizes : public testing::TestWithParam<std::int64_t> {
 protected:
  static constexpr int kChains = 5;
  const Chains before_ = some_chains(kChains, GetParam());
  const std::vector<float> gradients_ = numbers(as_size(kChains * GetParam()), 2, 0.3F);
};

INSTANTIATE_TEST_SUITE_P(, LangevinUpdateSizes,
                         testing::Values(1, 2, 3, 4, 5, 63, 64, 65, 127, 1023, 3072, 3076, 6147),
                         testing::PrintToStringParamName());

TEST_P(LangevinUpdateSizes, GivenNoise) {
  const LangevinUpdate update = noisy_update(0.125F);
  const std::vector<float> noise = numbers(before_.states.size(), 3, 2.0F);
  expect_step(update, before_, gradients_, noise, moved(update, before_, gradients_, noise), 2);
}

TEST_P(LangevinUpdateSizes, DrawnNoiseIsThatOfTheNaiveLoop) {
  // The launcher's vector lanes may fuse multiplications and additions that the loop here does not.
  const LangevinUpdate update = noisy_update(0.125F);
  expect_step(update, before_, gradients_, naive_noise(update, before_),
              moved(update, before_, gradients_), 8);
}

TEST(LangevinUpdate, WithoutNoiseIsADescentStep) {
  const Chains before = some_chains(2, 100);
  const std::vector<float> gradients = numbers(200, 2);
  const Chains after = moved(noisy_update(0), before, gradients);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    EXPECT_EQ(after.states[i], before.states[i] - gradients[i]) << i;
  }
}

TEST(LangevinUpdate, NormsAddUp) {
  Chains chains = some_chains(2, 2);
  const std::vector<float> gradients = {3, 4, 0, 0};
  for (int step = 0; step < 10; ++step) {
    chains = moved(noisy_update(0.01F), chains, gradients);
  }
  EXPECT_EQ(chains.norm_sums, (std::vector<float>{50, 0}));
}

TEST(LangevinUpdate, ClampHoldsStatesInsideAfterTheNoise) {
  LangevinUpdate update = noisy_update(10);
  const Chains before = some_chains(3, 100);
  const std::vector<float> gradients = numbers(300, 2);
  const Chains free = moved(update, before, gradients);
  update.lowest = -0.5F;
  update.highest = 2;
  const Chains held = moved(update, before, gradients);
  for (std::size_t i = 0; i < held.states.size(); ++i) {
    EXPECT_EQ(held.states[i], std::fmin(std::fmax(free.states[i], -0.5F), 2.0F)) << i;
  }
  EXPECT_EQ(held.norm_sums, free.norm_sums);
}

TEST(LangevinUpdate, DivergenceIsSeen) {
  // A NaN goes through the clamp; without a clamp so does an infinity.
  for (const bool clamped : {false, true}) {
    LangevinUpdate update = noisy_update(0.1F);
    if (clamped) {
      update.lowest = -1;
      update.highest = 1;
    }
    for (const bool given : {false, true}) {
      Chains before = some_chains(1, 70);
      std::vector<float> gradients(70, 0.0F);
      before.states[3] = kNan;
      gradients[66] = kNan;
      before.states[0] = kInfinity;
      before.states[69] = -kInfinity;
      const Chains after = moved(update, before, gradients,
                                 given ? std::vector<float>(70, 1.0F) : std::vector<float>());
      EXPECT_TRUE(std::isnan(after.states[3]));
      EXPECT_TRUE(std::isnan(after.states[66]));
      EXPECT_TRUE(std::isnan(after.norm_sums[0]));
      EXPECT_EQ(after.states[0], clamped ? 1.0F : kInfinity);
      EXPECT_EQ(after.states[69], clamped ? -1.0F : -kInfinity);
    }
  }
}

TEST(LangevinUpdate, AChainDoesNotDependOnItsTile) {
  constexpr int kChains = 7;
  constexpr std::int64_t kSize = 50;
  const LangevinUpdate update = noisy_update(0.125F);
  const Chains all = some_chains(kChains, kSize);
  const std::vector<float> gradients = numbers(as_size(kChains * kSize), 2);
  const Chains together = moved(update, all, gradients);
  for (std::uint32_t c = 0; c < kChains; ++c) {
    const auto part = [c](const std::vector<float>& values) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(c * kSize);
      return std::vector<float>(begin, begin + kSize);
    };
    const Chains one{.first = c, .size = kSize, .states = part(all.states), .norm_sums = {0.0F}};
    const Chains alone = moved(update, one, part(gradients));
    EXPECT_EQ(alone.states, part(together.states)) << c;  // bit for bit
    EXPECT_EQ(alone.norm_sums[0], together.norm_sums[c]) << c;
  }
}

TEST(LangevinUpdate, NoiseDiffersByStepIterationPurposeAndChain) {
  const LangevinUpdate update = noisy_update(1);
  Chains at_zero = some_chains(1, 1000);
  at_zero.states.assign(1000, 0.0F);
  const std::vector<float> gradients(1000, 0.0F);
  const Chains reference = moved(update, at_zero, gradients);
  const auto expect_other_noise = [&](const LangevinUpdate& other, std::uint32_t chain) {
    Chains chains = at_zero;
    chains.first = chain;
    const Chains after = moved(other, chains, gradients);
    int same = 0;  // floats of |z| < 4 collide by chance about once in 10^7 pairs
    for (std::size_t i = 0; i < 1000; ++i) {
      same += after.states[i] == reference.states[i] ? 1 : 0;
    }
    EXPECT_LE(same, 2);
  };
  LangevinUpdate other = update;
  ++other.step;
  expect_other_noise(other, 0);
  other = update;
  ++other.noise.iteration;
  expect_other_noise(other, 0);
  other = update;
  other.noise.purpose = Purpose::longrun_langevin;
  expect_other_noise(other, 0);
  expect_other_noise(update, 1);
}

}  // namespace
}  // namespace ebm
