// The same Langevin chains on the CPU and on a CUDA device, in float32, step by step. Noise is the
// same numbers on both, so chains part for two reasons only: rounding, and a LeakyReLU or max pool
// within rounding of its branch point that goes the other way.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cuda/nn/cpu/cpu_energy.h"
#include "cuda/nn/gpu/cuda_energy.h"
#include "tests/cuda/nn/gpu/plan_folder.h"
#include "tests/support/goldens.h"
#include "tests/support/host_energy.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

#ifdef EBM_EMULATED_CUDA
constexpr int kChains = 4;
constexpr int kSteps = 10;
constexpr int kFeatures = 4;
#else
constexpr int kChains = 100;
constexpr int kSteps = 200;
constexpr int kFeatures = 32;
#endif
constexpr float kEpsilon = 0.01F;

struct Case {
  std::string network;
  int channels;

  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.network; }
};

double distance(std::span<const float> a, std::span<const float> b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    squares += difference * difference;
  }
  return std::sqrt(squares);
}

class CpuGpuChains : public testing::TestWithParam<Case> {
 protected:
  CpuGpuChains()
      : network_(published_network(GetParam().network, GetParam().channels, kFeatures)),
        cpu_(std::make_unique<HostEnergy>(make_cpu_energy(network_))),
        gpu_(std::make_unique<HostEnergy>(
            make_cuda_energy(network_, kChains, Precision::fp32, plan_folder()))),
        size_(static_cast<std::size_t>(network_.input().size())),
        start_(numbers(kChains * size_, 1)) {
    // As at the start of training, but with the attention's output, which starts at zero there.
    const std::vector<float> theta = golden_parameters(network_, "chains");
    cpu_->set_parameters(theta);
    gpu_->set_parameters(theta);
  }

  /// One step of all chains; returns their ‖∇f‖.
  std::vector<float> step(HostEnergy& energy, int number, std::vector<float>& states) const {
    std::vector<float> norms(kChains);
    energy.langevin({.update = {.epsilon = kEpsilon,
                                .noise = {123, Purpose::langevin, 1},
                                .step = static_cast<std::uint32_t>(number)},
                     .steps = 1},
                    states, norms);
    return norms;
  }

  std::span<const float> chain(const std::vector<float>& states, std::size_t c) const {
    return std::span(states).subspan(c * size_, size_);
  }

  /// ‖a − b‖ / ‖b‖ over all chains but some.
  double relative_distance(const std::vector<float>& a, const std::vector<float>& b,
                           const std::set<std::size_t>& without) const {
    double squares = 0;
    double of_b = 0;
    for (std::size_t c = 0; c < kChains; ++c) {
      if (!without.contains(c)) {
        squares += std::pow(distance(chain(a, c), chain(b, c)), 2);
        of_b += std::pow(norm_of(doubles(chain(b, c))), 2);
      }
    }
    return std::sqrt(squares / of_b);
  }
  /// The chain, of all but some, whose states are the farthest apart.
  std::size_t farthest(const std::vector<float>& a, const std::vector<float>& b,
                       const std::set<std::size_t>& without) const {
    std::size_t found = 0;
    double most = -1;
    for (std::size_t c = 0; c < kChains; ++c) {
      const double apart = distance(chain(a, c), chain(b, c));
      if (!without.contains(c) && apart > most) {
        found = c;
        most = apart;
      }
    }
    return found;
  }

  Network network_;
  std::unique_ptr<HostEnergy> cpu_;
  std::unique_ptr<HostEnergy> gpu_;
  std::size_t size_;
  std::vector<float> start_;
};

bool is_reported(int step) {
  return step == 1 || step == 10 || step == 50 || step == 100 || step == 200;
}

// A step's gradient is held to what goldens are, relative to its norm, and its sum with state and
// noise to four roundings of the state. A branch that goes the other way takes one unit's part of a
// chain's gradient for another's: a network of 60,000 units, each within some 1e-7 of its branch
// point with that chance, has one such in about a hundred steps of a chain, and one in ten chains
// may. What is lost then is less than the gradient.
TEST_P(CpuGpuChains, EveryStepFromTheSameStatesAgrees) {
  constexpr double kGradient = 1e-5;
  constexpr std::size_t kBranches = std::max(1, kChains / 10);
  std::vector<float> states = start_;
  double worst = 0;
  for (int t = 1; t <= kSteps; ++t) {
    std::vector<float> of_gpu = states;
    const std::vector<float> norms_of_gpu = step(*gpu_, t, of_gpu);
    const std::vector<float> norms = step(*cpu_, t, states);
    std::vector<double> errors;
    for (std::size_t c = 0; c < kChains; ++c) {
      const double norm = static_cast<double>(norms[c]);
      const double rounding = 4 * kRounding * norm_of(doubles(chain(states, c)));
      const double moved = distance(chain(of_gpu, c), chain(states, c));
      ASSERT_LT(moved, norm + rounding) << "step " << t << " chain " << c;
      errors.push_back(std::max(std::max(0.0, moved - rounding) / norm,
                                std::abs(static_cast<double>(norms_of_gpu[c]) - norm) / norm));
    }
    std::ranges::sort(errors);
    const double error = errors[kChains - 1 - kBranches];
    ASSERT_LT(error, kGradient) << "step " << t;
    worst = std::max(worst, error);
    if (is_reported(t)) {
      fmt::print("  step {:3}: median chain {:.1e}, all but {} below {:.1e}, worst chain {:.1e}\n",
                 t, errors[kChains / 2], kBranches, error, errors.back());
    }
  }
  fmt::print("  worst of {} steps: {:.1e} of {:.0e}\n", kSteps, worst, kGradient);
}

// Left alone, chains part as fast as the energy's landscape drives neighbours apart, which the CPU
// can say by itself: of its own chains from starts one part in a million away. Steps err by less
// than that, but 200 of them one after the other.
//
// In the toy network a LeakyReLU that rounding takes the other way is one of 192, and its chain's
// next gradient is another: 100 chains of 200 steps meet such a one in a thirteenth of all runs,
// and two chains in one run of some hundreds. So one chain in 100 may part there; all others are
// held to the bound, and one that has parted is left out from then on.
TEST_P(CpuGpuChains, FreeChainsPartNoFasterThanNeighbours) {
  constexpr double kAway = 1e-6;
  constexpr double kTimes = 10;
  const std::size_t may_part = GetParam().network == "toy" ? kChains / 100 : 0;
  std::set<std::size_t> parted;
  std::vector<float> cpu = start_;
  std::vector<float> gpu = start_;
  std::vector<float> neighbours = start_;
  const std::vector<float> directions = numbers(start_.size(), 2);
  for (std::size_t i = 0; i < start_.size(); ++i) {
    neighbours[i] += static_cast<float>(kAway) * directions[i];
  }
  for (int t = 1; t <= kSteps; ++t) {
    step(*cpu_, t, cpu);
    step(*gpu_, t, gpu);
    step(*cpu_, t, neighbours);
    double apart = relative_distance(gpu, cpu, parted);
    double bound = kTimes * relative_distance(neighbours, cpu, parted);
    while (apart >= bound && parted.size() < may_part) {
      parted.insert(farthest(gpu, cpu, parted));
      apart = relative_distance(gpu, cpu, parted);
      bound = kTimes * relative_distance(neighbours, cpu, parted);
    }
    ASSERT_LT(apart, bound) << "step " << t;
    if (is_reported(t)) {
      fmt::print("  step {:3}: {:.1e} apart, bound {:.1e}, {} chains left out\n", t, apart, bound,
                 parted.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, CpuGpuChains,
                         testing::Values(Case{"toy", 2}, Case{"vanilla", 3}, Case{"nonlocal", 3}),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace ebm
