#include "cuda/mcmc/annealed_importance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "cuda/base/errors.h"
#include "cuda/device/launch.cuh"
#include "cuda/kernels/random_states.cuh"

namespace ebm {
namespace {

/// Numbers of the random streams, other than ebm_sample's.
constexpr std::uint32_t kPilot = 1;
constexpr std::uint32_t kForward = 2;
constexpr std::uint32_t kReverse = 3;

struct ShiftBody {
  float by;
  float* values;
  EBM_HOST_DEVICE void operator()(std::int64_t i) const { values[i] += by; }
};

/// Chains that move by MALA inside the box, one of the path's steps at a time.
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
    fill_uniform(energy_.queue(), stream_, (box_.high - box_.low) / 2, chains_,
                 energy_.state_size(), sampler_.states());
    for_each_index(energy_.queue(), chains_ * energy_.state_size(),
                   ShiftBody{(box_.low + box_.high) / 2, sampler_.states()});
  }
  void start_from(const float* states) {
    copy(energy_.queue(), states, static_cast<std::size_t>(chains_ * energy_.state_size()),
         sampler_.states());
  }

  /// Throws Divergence when an energy was not finite.
  void run(std::span<const MalaStep> steps) {
    sampler_.run(steps);
    if (!std::ranges::all_of(sampler_.energies(), [](float u) { return std::isfinite(u); })) {
      throw Divergence("annealing: an energy within the box is not finite");
    }
  }
  /// U of all chains before the last run's step.
  std::span<const float> energies(std::size_t step) const {
    const auto row = static_cast<std::size_t>(chains_);
    return sampler_.energies().subspan(step * row, row);
  }
  double acceptance() const {
    const std::span<const float> accepted = sampler_.accepted();
    return std::accumulate(accepted.begin(), accepted.end(), 0.0) /
           static_cast<double>(accepted.size());
  }

 private:
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

/// A chain's weight of each step, summed.
class Weights {
 public:
  explicit Weights(std::int64_t chains) : log_(static_cast<std::size_t>(chains)) {}
  /// log w += factor·U.
  void add(double factor, std::span<const float> energies) {
    for (std::size_t c = 0; c < log_.size(); ++c) {
      log_[c] += factor * static_cast<double>(energies[c]);
    }
  }
  std::vector<double> take() && { return std::move(log_); }

 private:
  std::vector<double> log_;
};

constexpr std::int64_t kStepsAtOnce = RecordedSampler::kStepsAtOnce;

}  // namespace

AnnealingPath choose_annealing_path(Energy& energy, const BoxedEnergy& box, std::int64_t chains,
                                    std::int64_t transitions, std::uint64_t seed) {
  constexpr double kAcceptance = 0.57;
  constexpr int kRounds = 5;  // of so many steps, after each of which ε is set anew
  constexpr std::size_t kSteps = 5;
  struct Level {
    double beta;
    double epsilon;
  };
  BoxedChains pilot(energy, box, chains, seed, kPilot);
  pilot.start_uniform();
  const double side = static_cast<double>(box.high) - static_cast<double>(box.low);
  double epsilon = side / 4;
  // At β = 0 every proposal inside the box is accepted: a first look at U takes no step worth the
  // name.
  pilot.run(std::vector{step_at(box, std::numeric_limits<float>::min(), epsilon)});
  std::vector<Level> levels{{0, epsilon}};
  std::size_t last = 0;
  while (levels.back().beta < 1) {
    const double spread = standard_deviation(pilot.energies(last));
    const double beta = std::min(1.0, levels.back().beta + (spread > 0 ? 1 / spread : 1.0));
    for (int round = 0; round < kRounds; ++round) {
      pilot.run(std::vector(kSteps, step_at(box, beta, epsilon)));
      epsilon = std::min(epsilon * std::exp(pilot.acceptance() - kAcceptance), side);
    }
    last = kSteps - 1;
    levels.push_back({beta, epsilon});
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
  Weights weights(chains);
  const std::span<const MalaStep> steps = path.steps;
  for (std::size_t done = 0; done < steps.size(); done += kStepsAtOnce) {
    const std::size_t some = std::min<std::size_t>(kStepsAtOnce, steps.size() - done);
    moving.run(steps.subspan(done, some));
    for (std::size_t i = 0; i < some; ++i) {
      weights.add(path.beta[done + i] - path.beta[done + i + 1], moving.energies(i));
    }
  }
  return std::move(weights).take();
}

std::vector<double> annealed_reverse(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, const float* states,
                                     std::int64_t chains, std::uint64_t seed) {
  BoxedChains moving(energy, box, chains, seed, kReverse);
  moving.start_from(states);
  Weights weights(chains);
  // U(x_{k−1}) is recorded with the step after the one from x_k: there is one more step than
  // counts.
  std::vector<MalaStep> steps(path.steps.rbegin(), path.steps.rend());
  steps.push_back(steps.back());
  const std::size_t last = path.beta.size() - 1;
  for (std::size_t done = 0; done < steps.size(); done += kStepsAtOnce) {
    const std::size_t some = std::min<std::size_t>(kStepsAtOnce, steps.size() - done);
    moving.run(std::span(steps).subspan(done, some));
    for (std::size_t i = done == 0 ? 1 : 0; i < some; ++i) {
      const std::size_t k = last + 1 - (done + i);
      weights.add(path.beta[k] - path.beta[k - 1], moving.energies(i));
    }
  }
  return std::move(weights).take();
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
