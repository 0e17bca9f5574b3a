// One step of MALA against its definition in float64.

#include "cuda/kernels/mala.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

constexpr int kChains = 40;
constexpr std::uint32_t kFirstChain = 7;
const MalaUpdate kUpdate{.epsilon = 0.3F,
                         .temperature = 0.7F,
                         .momenta = {.seed = 3, .purpose = Purpose::sampling_momentum},
                         .uniforms = {.seed = 3, .purpose = Purpose::sampling_uniform},
                         .step = 5};

/// A step's memory: chains × size values of x, g, p, proposals and their g; chains of the others.
struct Step {
  std::int64_t size;
  MalaUpdate update = kUpdate;
  std::vector<float> x, f, g, p, proposals, proposal_f, proposal_g, log_ratios, norms, accepted;

  explicit Step(std::int64_t state_size)
      : size(state_size),
        x(numbers(values(), 1)),
        f(numbers(kChains, 2)),
        g(numbers(values(), 3, 0.5F)),
        p(values()),
        proposals(values()),
        proposal_f(numbers(kChains, 4)),
        proposal_g(numbers(values(), 5, 0.5F)),
        log_ratios(kChains),
        norms(kChains),
        accepted(kChains, -1.0F) {}

  std::size_t values() const { return static_cast<std::size_t>(kChains * size); }

  ChainMemory chains(KernelMemory& memory) {
    return {memory.in_out(x),          memory.in_out(f),         memory.in_out(g),
            memory.in_out(p),          memory.in_out(proposals), memory.in_out(proposal_f),
            memory.in_out(proposal_g), memory.in_out(log_ratios)};
  }

  // The launchers under test. Without numbers given, the step draws its own.
  void propose(const std::vector<float>& momenta = {}) {
    run_kernel([&](KernelMemory& memory, const auto&... stream) {
      mala_propose(stream..., update, kFirstChain, kChains, size, memory.in(momenta),
                   chains(memory), memory.in_out(norms));
    });
  }
  void decide(const std::vector<float>& uniforms = {}) {
    run_kernel([&](KernelMemory& memory, const auto&... stream) {
      mala_decide(stream..., update, kFirstChain, kChains, size, memory.in(uniforms),
                  chains(memory), memory.in_out(accepted));
    });
  }
};

class MalaSizes : public testing::TestWithParam<std::int64_t> {};

INSTANTIATE_TEST_SUITE_P(, MalaSizes, testing::Values(1, 2, 5, 64, 65, 784, 3072),
                         testing::PrintToStringParamName());

TEST_P(MalaSizes, ProposalsAreThoseOfTheDrawnMomenta) {
  Step step(GetParam());
  const Step before = step;
  step.propose();
  for (std::size_t c = 0; c < kChains; ++c) {
    double squares = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(step.size); ++k) {
      const std::size_t i = c * static_cast<std::size_t>(step.size) + k;
      const auto chain = kFirstChain + static_cast<std::uint32_t>(c);
      const float p = kUpdate.momentum_of(chain, static_cast<std::uint32_t>(k / 4)).v[k % 4];
      ASSERT_NEAR(step.p[i], p, 2e-6) << i;
      const auto g = static_cast<double>(before.g[i]);
      const double moved =
          static_cast<double>(before.x[i]) - 0.09 / 1.4 * g + 0.3 * static_cast<double>(step.p[i]);
      ASSERT_NEAR(step.proposals[i], moved, 5e-7) << i;
      squares += g * g;
    }
    EXPECT_NEAR(step.norms[c], std::sqrt(squares), 1e-6 * std::sqrt(squares)) << c;
  }
  EXPECT_EQ(step.x, before.x);
}

TEST_P(MalaSizes, GivenMomentaReplaceTheDraws) {
  Step step(GetParam());
  const std::vector<float> momenta = numbers(step.values(), 9);
  step.propose(momenta);
  EXPECT_EQ(step.p, momenta);
}

TEST_P(MalaSizes, ChainsMoveWhenTheRatioIsAboveTheirUniform) {
  Step step(GetParam());
  step.propose();
  const Step before = step;
  const std::vector<float> uniforms(kChains, 0.5F);
  step.decide(uniforms);
  const auto size = static_cast<std::size_t>(step.size);
  for (std::size_t c = 0; c < kChains; ++c) {
    double kinetic = 0;
    for (std::size_t i = c * size; i < (c + 1) * size; ++i) {
      const auto p = static_cast<double>(before.p[i]);
      const double after =
          p - 0.3 / 1.4 *
                  (static_cast<double>(before.g[i]) + static_cast<double>(before.proposal_g[i]));
      kinetic += (p * p - after * after) / 2;
    }
    const double ratio =
        (static_cast<double>(before.f[c]) - static_cast<double>(before.proposal_f[c])) / 0.7 +
        kinetic;
    EXPECT_NEAR(step.log_ratios[c], ratio, 1e-6 * (10 + static_cast<double>(size))) << c;
    const bool moves = step.log_ratios[c] > std::log(0.5F);
    ASSERT_EQ(step.accepted[c], moves ? 1.0F : 0.0F) << c;
    EXPECT_EQ(step.f[c], moves ? before.proposal_f[c] : before.f[c]) << c;
    for (std::size_t i = c * size; i < (c + 1) * size; ++i) {
      ASSERT_EQ(step.x[i], moves ? before.proposals[i] : before.x[i]) << i;
      ASSERT_EQ(step.g[i], moves ? before.proposal_g[i] : before.g[i]) << i;
    }
  }
}

TEST_P(MalaSizes, ComponentsAreReflectedFromTheWallsOfTheBox) {
  constexpr double kLow = -0.6;
  constexpr double kHigh = 0.8;
  for (const double epsilon : {0.3, 4.0}) {  // one wall at most, and several
    Step step(GetParam());
    step.update.epsilon = static_cast<float>(epsilon);
    step.update.lowest = static_cast<float>(kLow);
    step.update.highest = static_cast<float>(kHigh);
    for (float& x : step.x) {
      x = 0.1F + 0.3F * x;  // within the box
      ASSERT_TRUE(x >= step.update.lowest && x <= step.update.highest);
    }
    step.propose();
    const Step before = step;
    step.decide();
    const auto size = static_cast<std::size_t>(step.size);
    std::size_t turned = 0;
    for (std::size_t c = 0; c < kChains; ++c) {
      double kinetic = 0;
      for (std::size_t i = c * size; i < (c + 1) * size; ++i) {
        const auto p = static_cast<double>(before.p[i]);
        double half = p - epsilon / 1.4 * static_cast<double>(before.g[i]);
        double x = static_cast<double>(before.x[i]) + epsilon * half;
        while (x < kLow || x > kHigh) {
          x = x < kLow ? 2 * kLow - x : 2 * kHigh - x;
          half = -half;
          ++turned;
        }
        ASSERT_NEAR(before.proposals[i], x, 2e-6 * epsilon) << i;
        const double after = half - epsilon / 1.4 * static_cast<double>(before.proposal_g[i]);
        kinetic += (p * p - after * after) / 2;
      }
      const double ratio =
          (static_cast<double>(before.f[c]) - static_cast<double>(before.proposal_f[c])) / 0.7 +
          kinetic;
      EXPECT_NEAR(step.log_ratios[c], ratio,
                  1e-6 * (1 + epsilon * epsilon) * (10 + static_cast<double>(size)))
          << c;
      EXPECT_EQ(step.f[c] == before.proposal_f[c], step.accepted[c] == 1.0F) << c;
    }
    EXPECT_TRUE(turned > 0 || (step.size == 1 && epsilon < 1)) << "of few, none may";
  }
}

TEST_P(MalaSizes, StepsCanBeGivenTheirSizeAndTemperature) {
  Step plain(GetParam());
  plain.update.epsilon = 0.2F;
  plain.update.temperature = 1.7F;
  plain.propose();
  plain.decide();
  Step given(GetParam());
  const auto run = [&](const auto& launch) {
    run_kernel([&](KernelMemory& memory, const auto&... stream) {
      const std::vector<MalaStep> steps{{.epsilon = 0.2F, .temperature = 1.7F}};
      given.update.given = memory.in(steps);
      launch(memory, stream...);
    });
  };
  run([&](KernelMemory& memory, const auto&... stream) {
    mala_propose(stream..., given.update, kFirstChain, kChains, given.size, nullptr,
                 given.chains(memory), memory.in_out(given.norms));
  });
  run([&](KernelMemory& memory, const auto&... stream) {
    mala_decide(stream..., given.update, kFirstChain, kChains, given.size, nullptr,
                given.chains(memory), memory.in_out(given.accepted));
  });
  EXPECT_EQ(given.proposals, plain.proposals);
  EXPECT_EQ(given.log_ratios, plain.log_ratios);
  EXPECT_EQ(given.x, plain.x);
}

TEST(Mala, ARatioThatIsNotANumberIsRefused) {
  Step step(3);
  step.propose();
  const Step before = step;
  step.proposal_f.assign(kChains, kNan);
  step.decide();
  EXPECT_EQ(step.accepted, std::vector<float>(kChains, 0.0F));
  EXPECT_EQ(step.x, before.x);
}

}  // namespace
}  // namespace ebm
