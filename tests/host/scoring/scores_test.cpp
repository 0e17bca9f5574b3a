#include "host/scoring/scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "cuda/nn/cpu/cpu_energy.h"
#include "cuda/nn/host_states.h"
#include "cuda/nn/network.h"
#include "cuda/random/normal.cuh"
#include "tests/support/numbers.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

constexpr std::size_t kStates = 23;

class ScoreStates : public testing::TestWithParam<const char*> {
 protected:
  ScoreStates()
      : network_(published_network(GetParam(), GetParam() == std::string("toy") ? 2 : 1, 4)),
        size_(static_cast<std::size_t>(network_.input().size())),
        states_(numbers(kStates * size_, 5)),
        energy_(make_cpu_energy(network_)) {
    HostStates(*energy_).set_parameters(initial_parameters(network_, 1).span());
  }

  /// f and ‖∇f‖ of states, from what every other test of energies is about.
  Scores expected(const std::vector<float>& states) const {
    Scores scores{std::vector<float>(kStates), std::vector<float>(kStates)};
    std::vector<float> gradients(states.size());
    HostStates(*energy_).energies_and_gradients(states, scores.f, gradients);
    for (std::size_t i = 0; i < kStates; ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < size_; ++k) {
        sum += std::pow(static_cast<double>(gradients[i * size_ + k]), 2);
      }
      scores.gradient_norm[i] = static_cast<float>(std::sqrt(sum));
    }
    return scores;
  }

  /// The states of one draw, as the random streams are documented.
  std::vector<float> noisy(const NoisyCopies& copies, std::uint32_t draw) const {
    std::vector<float> states = states_;
    const RandomStream stream{copies.seed, Purpose::scoring_noise, draw};
    for (std::uint32_t i = 0; i < kStates; ++i) {
      for (std::uint32_t k = 0; k < size_; ++k) {
        states[i * size_ + k] +=
            static_cast<float>(copies.deviation) * normals(stream.words(0, i, k / 4)).v[k % 4];
      }
    }
    return states;
  }

  const Network network_;
  const std::size_t size_;
  const std::vector<float> states_;
  const std::unique_ptr<Energy> energy_;
};

TEST_P(ScoreStates, AreTheEnergysOwnWithoutNoise) {
  const Scores right = expected(states_);
  for (const bool norms : {false, true}) {
    std::vector<float> gradients(norms ? 0 : states_.size());
    const Scores scores = score_states(*energy_, states_, {}, norms, gradients);
    EXPECT_EQ(scores.f, right.f);
    EXPECT_EQ(scores.gradient_norm, norms ? right.gradient_norm : std::vector<float>());
    if (!norms) {
      std::vector<float> f(kStates);
      std::vector<float> theirs(states_.size());
      HostStates(*energy_).energies_and_gradients(states_, f, theirs);
      EXPECT_EQ(gradients, theirs);
    }
  }
  EXPECT_EQ(score_states(*energy_, states_, {}, false).f, right.f);
  EXPECT_TRUE(score_states(*energy_, {}, {}, true).f.empty());
}

TEST_P(ScoreStates, AreMeansOverNoisyCopies) {
  const NoisyCopies copies{.deviation = 0.3, .draws = 3, .seed = 77};
  std::vector<double> f(kStates);
  std::vector<double> norms(kStates);
  for (std::uint32_t draw = 0; draw < 3; ++draw) {
    const Scores scores = expected(noisy(copies, draw));
    for (std::size_t i = 0; i < kStates; ++i) {
      f[i] += scores.f[i];
      norms[i] += scores.gradient_norm[i];
    }
  }
  const Scores scores = score_states(*energy_, states_, copies, true);
  for (std::size_t i = 0; i < kStates; ++i) {
    // The noise is multiplied and added in float, which a compiler may do in one rounding.
    EXPECT_NEAR(scores.f[i], f[i] / 3, 1e-6 * (1 + std::abs(f[i])));
    EXPECT_NEAR(scores.gradient_norm[i], norms[i] / 3, 1e-5 * norms[i]);
  }
}

TEST_P(ScoreStates, HaveTheSameBitsOnAnyNumberOfThreads) {
  const NoisyCopies copies{.deviation = 0.3, .draws = 3};
  const auto on = [&](int threads) {
    const Threads these(threads);
    return score_states(*energy_, states_, copies, true);
  };
  const Scores one = on(1);
  const Scores four = on(4);
  EXPECT_EQ(one.f, four.f);
  EXPECT_EQ(one.gradient_norm, four.gradient_norm);
  EXPECT_NE(score_states(*energy_, states_, {.deviation = 0.3, .draws = 3, .seed = 4}, true).f,
            one.f);
}

INSTANTIATE_TEST_SUITE_P(Networks, ScoreStates, testing::Values("toy", "vanilla"));

}  // namespace
}  // namespace ebm
