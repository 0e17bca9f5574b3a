#include "cuda/mcmc/annealed_importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/device/array.h"
#include "cuda/kernels/annealing.cuh"
#include "cuda/kernels/random_states.cuh"

namespace ebm {
namespace {

/// Numbers of the random streams, other than ebm_sample's.
constexpr std::uint32_t kPilot = 1;
constexpr std::uint32_t kForward = 2;
constexpr std::uint32_t kReverse = 3;

/// Chains that move by MALA inside the box.
class BoxedChains {
 public:
  BoxedChains(Energy& energy, const BoxedEnergy& box, std::int64_t chains, std::uint64_t seed,
              std::uint32_t stream)
      : energy_(energy),
        box_(box),
        chains_(chains),
        stream_{seed, Purpose::sampling_states, stream},
        sampler_(energy,
                 {.mala = true,
                  .epsilon = 1,
                  .temperature = box.temperature,
                  .seed = seed,
                  .stream = stream,
                  .clamp = std::pair(box.low, box.high)},
                 chains) {}

  void start_uniform() {
    fill_box(energy_.queue(), stream_, box_.low, box_.high, chains_, energy_.state_size(),
             sampler_.states());
  }
  void start_from(const float* states) {
    copy(energy_.queue(), states, static_cast<std::size_t>(chains_ * energy_.state_size()),
         sampler_.states());
  }

  /// Some steps of one kind, whose records are read.
  void take(int steps, const MalaStep& step) {
    const std::vector<MalaStep> all(static_cast<std::size_t>(steps), step);
    const Mirror<const MalaStep> there(energy_.queue(), all);
    sampler_.run_there(steps, there.data());
    sampler_.read_records(steps);
    require_finite(sampler_.energies());
  }
  /// Of the last take(): U before its last step, and the share of accepted proposals.
  std::span<const float> energies() const {
    return sampler_.energies().last(static_cast<std::size_t>(chains_));
  }
  double acceptance() const {
    const std::span<const float> accepted = sampler_.accepted();
    return std::accumulate(accepted.begin(), accepted.end(), 0.0) /
           static_cast<double>(accepted.size());
  }

  /// All steps, without the host; each chain's Σ factor·U(state before the step).
  std::vector<double> anneal(std::span<const MalaStep> steps, std::span<const double> factors) {
    const Queue& queue = energy_.queue();
    const Mirror<const MalaStep> steps_there(queue, steps);
    const Mirror<const double> factors_there(queue, factors);
    std::vector<double> log_weights(static_cast<std::size_t>(chains_));
    Mirror<double> weights_there(queue, log_weights);
    constexpr std::size_t kSteps = RecordedSampler::kStepsAtOnce;
    for (std::size_t done = 0; done < steps.size(); done += kSteps) {
      const auto some = static_cast<int>(std::min(kSteps, steps.size() - done));
      sampler_.run_there(some, steps_there.data() + done);
      add_weighted_energies(queue, sampler_.energies_there(), factors_there.data() + done, some,
                            chains_, weights_there.data());
    }
    weights_there.read_back(queue);
    queue.wait();
    require_finite(std::span<const double>(log_weights));
    return log_weights;
  }

 private:
  template <class Number>
  static void require_finite(std::span<const Number> values) {
    if (!std::ranges::all_of(values, [](Number value) { return std::isfinite(value); })) {
      throw Divergence("annealing: an energy within the box is not finite");
    }
  }

  Energy& energy_;
  BoxedEnergy box_;
  std::int64_t chains_;
  RandomStream stream_;
  RecordedSampler sampler_;
};

MalaStep step_at(const BoxedEnergy& box, double beta, double epsilon) {
  return {.epsilon = static_cast<float>(epsilon),
          .temperature = static_cast<float>(static_cast<double>(box.temperature) / beta)};
}

double standard_deviation(std::span<const float> values) {
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  double squares = 0;
  for (const float value : values) {
    squares += (static_cast<double>(value) - sum / n) * (static_cast<double>(value) - sum / n);
  }
  return std::sqrt(squares / n);
}

}  // namespace

AnnealingPath choose_annealing_path(Energy& energy, const BoxedEnergy& box, std::int64_t chains,
                                    std::int64_t transitions, std::uint64_t seed) {
  constexpr double kAcceptance = 0.57;
  constexpr int kRounds = 5;  // of so many steps, after each of which ε is set anew
  constexpr int kSteps = 5;
  constexpr std::size_t kMostLevels = 10'000;
  struct Level {
    double beta;
    double epsilon;
  };
  BoxedChains pilot(energy, box, chains, seed, kPilot);
  pilot.start_uniform();
  const double side = static_cast<double>(box.high) - static_cast<double>(box.low);
  double epsilon = side / 4;
  // U of the uniform law, which a step at (nearly) β = 0 leaves as it is.
  pilot.take(1, step_at(box, std::numeric_limits<float>::min(), epsilon));
  std::vector<Level> levels{{0, epsilon}};
  while (levels.back().beta < 1) {
    const double spread = standard_deviation(pilot.energies());
    const double beta = std::min(1.0, levels.back().beta + (spread > 0 ? 1 / spread : 1.0));
    for (int round = 0; round < kRounds; ++round) {
      pilot.take(kSteps, step_at(box, beta, epsilon));
      epsilon = std::min(epsilon * std::exp(pilot.acceptance() - kAcceptance), side);
    }
    levels.push_back({beta, epsilon});
    if (levels.size() > kMostLevels) {
      throw Divergence(fmt::format(
          "annealing: {} levels are not enough from the uniform law to exp(-U); the last has beta "
          "= {:.3g}, where U varies by {:.3g}",
          kMostLevels, beta, spread));
    }
  }

  AnnealingPath path{.beta = {0}, .steps = {}};
  for (std::int64_t k = 1; k <= transitions; ++k) {
    const double place = static_cast<double>(k) / static_cast<double>(transitions) *
                         static_cast<double>(levels.size() - 1);
    const auto below = std::min(static_cast<std::size_t>(place), levels.size() - 2);
    const double part = place - static_cast<double>(below);
    const Level& from = levels[below];
    const Level& to = levels[below + 1];
    const double beta = k == transitions ? 1 : from.beta + part * (to.beta - from.beta);
    path.beta.push_back(beta);
    path.steps.push_back(
        step_at(box, beta, from.epsilon * std::pow(to.epsilon / from.epsilon, part)));
  }
  return path;
}

std::vector<double> annealed_forward(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, std::int64_t chains,
                                     std::uint64_t seed) {
  BoxedChains moving(energy, box, chains, seed, kForward);
  moving.start_uniform();
  std::vector<double> factors;
  for (std::size_t k = 1; k < path.beta.size(); ++k) {
    factors.push_back(path.beta[k - 1] - path.beta[k]);
  }
  return moving.anneal(path.steps, factors);
}

std::vector<double> annealed_reverse(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, const float* states,
                                     std::int64_t chains, std::uint64_t seed) {
  BoxedChains moving(energy, box, chains, seed, kReverse);
  moving.start_from(states);
  // U(x_{k−1}) is that before the step after the one from x_k: U(x_K) does not count, and the last
  // step is there for U(x_0).
  std::vector<MalaStep> steps(path.steps.rbegin(), path.steps.rend());
  steps.push_back(steps.back());
  std::vector<double> factors{0};
  for (std::size_t k = path.beta.size() - 1; k > 0; --k) {
    factors.push_back(path.beta[k] - path.beta[k - 1]);
  }
  return moving.anneal(steps, factors);
}

WeightMean weight_mean(std::span<const double> log_weights, int groups) {
  const auto n = static_cast<double>(log_weights.size());
  const double largest = *std::ranges::max_element(log_weights);
  const auto relative = [&](double log_weight) { return std::exp(log_weight - largest); };
  double sum = 0;
  double squares = 0;
  double logs = 0;
  for (const double log_weight : log_weights) {
    sum += relative(log_weight);
    squares += relative(log_weight) * relative(log_weight);
    logs += log_weight;
  }
  double log_squares = 0;
  for (const double log_weight : log_weights) {
    log_squares += (log_weight - logs / n) * (log_weight - logs / n);
  }
  const std::size_t size = log_weights.size() / static_cast<std::size_t>(groups);
  double spread = 0;  // of the groups' means about the mean of all
  for (std::size_t group = 0; group < static_cast<std::size_t>(groups); ++group) {
    double of_group = 0;
    for (const double log_weight : log_weights.subspan(group * size, size)) {
      of_group += relative(log_weight);
    }
    const double difference = of_group / static_cast<double>(size) / (sum / n) - 1;
    spread += difference * difference;
  }
  return {.log_mean = largest + std::log(sum / n),
          .standard_error = std::sqrt(spread / (groups - 1) / groups),
          .mean_log = logs / n,
          .mean_log_error = std::sqrt(log_squares / (n - 1) / n),
          .effective_size = sum * sum / squares};
}

}  // namespace ebm
