#include "cuda/mcmc/annealed_importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/device/array.h"
#include "cuda/kernels/annealing.cuh"
#include "cuda/kernels/mala.cuh"
#include "cuda/kernels/random_states.cuh"
#include "cuda/random/normal.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {
namespace {

/// Numbers of the random streams, other than ebm_sample's.
constexpr std::uint32_t kPilot = 1;
constexpr std::uint32_t kForward = 2;
constexpr std::uint32_t kReverse = 3;
constexpr std::uint32_t kDecisions = 4;
constexpr std::uint32_t kMoves = 5;  // and one more for every round

/// Chains that move by MALA inside the box.
class BoxedChains {
 public:
  BoxedChains(Energy& energy, const BoxedEnergy& box, std::int64_t chains, std::uint64_t seed,
              std::uint32_t stream, const StopAnnealing& stop)
      : energy_(energy),
        box_(box),
        chains_(chains),
        stream_{seed, Purpose::sampling_states, stream},
        stop_(stop),
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

  /// Some steps of one kind, whose records are read.
  void take(int steps, const MalaStep& step) {
    throw_if_stopped();
    const std::vector<MalaStep> all(static_cast<std::size_t>(steps), step);
    const Mirror<const MalaStep> there(energy_.queue(), all);
    sampler_.run_there(steps, there.data());
    sampler_.read_records(steps);
    require_finite(sampler_.energies());
  }
  /// Of the last take(): U before every step, steps × chains, and before the last one, and the
  /// share of accepted proposals.
  std::span<const float> all_energies() const { return sampler_.energies(); }
  std::span<const float> energies() const {
    return sampler_.energies().last(static_cast<std::size_t>(chains_));
  }
  double acceptance() const {
    const std::span<const float> accepted = sampler_.accepted();
    return std::accumulate(accepted.begin(), accepted.end(), 0.0) /
           static_cast<double>(accepted.size());
  }

  const float* states() { return sampler_.states(); }

  /// The whole path, from uniform states or back from given ones; the chains' log w.
  std::vector<double> anneal_forward(const AnnealingPath& path) {
    start_uniform();
    std::vector<double> factors;
    for (std::size_t k = 1; k < path.beta.size(); ++k) {
      factors.push_back(path.beta[k - 1] - path.beta[k]);
    }
    return anneal(path.steps, factors);
  }
  std::vector<double> anneal_reverse(const AnnealingPath& path, const float* from) {
    start_from(from);
    // U(x_{k−1}) is that before the step after the one from x_k: U(x_K) does not count, and the
    // last step is there for U(x_0).
    std::vector<MalaStep> steps(path.steps.rbegin(), path.steps.rend());
    steps.push_back(steps.back());
    std::vector<double> factors{0};
    for (std::size_t k = path.beta.size() - 1; k > 0; --k) {
      factors.push_back(path.beta[k] - path.beta[k - 1]);
    }
    return anneal(steps, factors);
  }

 private:
  void start_from(const float* states) {
    copy(energy_.queue(), states, static_cast<std::size_t>(chains_ * energy_.state_size()),
         sampler_.states());
  }
  static constexpr std::size_t kBetweenStops = 100 * std::size_t{RecordedSampler::kStepsAtOnce};

  void throw_if_stopped() const {
    if (stop_ && stop_()) {
      throw AnnealingStopped();
    }
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
      if (queue.on_cpu() || done % kBetweenStops == 0) {
        queue.wait();  // a device is not ahead by more
        throw_if_stopped();
      }
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
  const StopAnnealing& stop_;
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

/// One of a path's levels, and how much of the path there is up to it.
struct Level {
  double beta;
  double epsilon;
  double end;
};

/// Chains that find a level's ε and the standard deviation of U, along a chain and over all.
class Pilot {
 public:
  Pilot(Energy& energy, const BoxedEnergy& box, std::int64_t chains, std::uint64_t seed,
        const StopAnnealing& stop)
      : box_(box),
        side_(static_cast<double>(box.high) - static_cast<double>(box.low)),
        epsilon_(side_ / 4),
        chains_(energy, box, chains, seed, kPilot, stop) {
    chains_.start_uniform();
    // U of the uniform law, which a step at (nearly) β = 0 leaves as it is.
    chains_.take(1, step_at(box_, std::numeric_limits<float>::min(), epsilon_));
  }

  void go_to(double beta) {
    constexpr double kAcceptance = 0.57;
    const auto chains = chains_.energies().size();
    std::vector<double> sums(chains);
    std::vector<double> squares(chains);
    for (int round = 0; round < kRounds; ++round) {
      chains_.take(kSteps, step_at(box_, beta, epsilon_));
      epsilon_ = std::min(epsilon_ * std::exp(chains_.acceptance() - kAcceptance), side_);
      if (round == 0) continue;  // in which chains come from the level before
      const std::span<const float> energies = chains_.all_energies();
      for (std::size_t i = 0; i < energies.size(); ++i) {
        const auto value = static_cast<double>(energies[i] - energies[i % chains]);
        sums[i % chains] += value;
        squares[i % chains] += value * value;
      }
    }
    double variance = 0;
    for (std::size_t c = 0; c < chains; ++c) {
      constexpr double kCounted = kSteps * (kRounds - 1);
      variance += (squares[c] - sums[c] * sums[c] / kCounted) / kCounted;
    }
    along_ = std::sqrt(std::max(variance / static_cast<double>(chains), 0.0));
  }

  double epsilon() const { return epsilon_; }
  double spread() const { return standard_deviation(chains_.energies()); }
  double spread_along_chains() const { return along_; }

 private:
  static constexpr int kRounds = 5;  // of so many steps, after each of which ε is set anew
  static constexpr int kSteps = 5;

  BoxedEnergy box_;
  double side_;
  double epsilon_;
  BoxedChains chains_;
  double along_ = 0;
};

std::vector<Level> choose_levels(Pilot& pilot, std::size_t most) {
  /// What counts of a spread that chains do not go through themselves: enough for U to be followed.
  constexpr double kPartBetweenChains = 0.01;
  std::vector<Level> levels{{0, pilot.epsilon(), 0}};
  while (levels.back().beta < 1) {
    const double spread = pilot.spread();
    const double rise = std::min(1 - levels.back().beta, spread > 0 ? 1 / spread : 1.0);
    const double beta = levels.back().beta + rise;
    pilot.go_to(beta);
    const double length = pilot.spread_along_chains() + kPartBetweenChains * spread;
    levels.push_back(
        {beta, pilot.epsilon(), levels.back().end + (length > 0 ? rise * length : rise)});
    if (levels.size() > most) {
      throw Divergence(fmt::format(
          "annealing: {} levels are not enough from the uniform law to exp(-U), and so many "
          "transitions too few; the last has beta = {:.3g}, where U varies by {:.3g}",
          most, beta, spread));
    }
  }
  return levels;
}

/// The mean of independent values, and its standard error.
std::pair<double, double> mean_and_error(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

}  // namespace

AnnealingPath choose_annealing_path(Energy& energy, const BoxedEnergy& box, std::int64_t chains,
                                    std::int64_t transitions, std::uint64_t seed,
                                    const StopAnnealing& stop) {
  Pilot pilot(energy, box, chains, seed, stop);
  // Of fewer transitions a level the weights would say nothing.
  constexpr std::int64_t kLeastTransitions = 4;
  constexpr std::int64_t kAlways = 200;
  const std::vector<Level> levels = choose_levels(
      pilot, static_cast<std::size_t>(std::max(kAlways, transitions / kLeastTransitions)));
  AnnealingPath path{.beta = {0}, .steps = {}};
  std::size_t above = 1;
  for (std::int64_t k = 1; k <= transitions; ++k) {
    const double place =
        static_cast<double>(k) / static_cast<double>(transitions) * levels.back().end;
    while (above + 1 < levels.size() && levels[above].end < place) ++above;
    const Level& from = levels[above - 1];
    const Level& to = levels[above];
    const double part = (place - from.end) / (to.end - from.end);
    const double beta = k == transitions ? 1 : from.beta + part * (to.beta - from.beta);
    path.beta.push_back(beta);
    path.steps.push_back(
        step_at(box, beta, from.epsilon * std::pow(to.epsilon / from.epsilon, part)));
  }
  return path;
}

AnnealingPath thinned(const AnnealingPath& path, std::size_t n) {
  AnnealingPath some{.beta = {0}, .steps = {}};
  const std::size_t transitions = path.steps.size();
  for (std::size_t k = (transitions - 1) % n; k < transitions; k += n) {
    some.beta.push_back(path.beta[k + 1]);
    some.steps.push_back(path.steps[k]);
  }
  return some;
}

std::vector<double> annealed_forward(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, std::int64_t chains,
                                     std::uint64_t seed, const StopAnnealing& stop) {
  BoxedChains moving(energy, box, chains, seed, kForward, stop);
  return moving.anneal_forward(path);
}

std::vector<double> annealed_reverse(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, const float* states,
                                     std::int64_t chains, std::uint64_t seed,
                                     const StopAnnealing& stop) {
  BoxedChains moving(energy, box, chains, seed, kReverse, stop);
  return moving.anneal_reverse(path, states);
}

double annealed_moves(Energy& energy, const BoxedEnergy& box, const AnnealingPath& path, int rounds,
                      float* states, std::int64_t chains, std::uint64_t seed,
                      const StopAnnealing& stop) {
  const RandomStream decisions{seed, Purpose::sampling_uniform, kDecisions};
  // Of the path that led to a chain's state: at first one that leads back from it.
  std::vector<double> log_weights =
      BoxedChains(energy, box, chains, seed, kMoves, stop).anneal_reverse(path, states);
  for (double& log_weight : log_weights) log_weight = -log_weight;
  std::vector<std::uint32_t> moves(log_weights.size());
  double accepted = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto number = static_cast<std::uint32_t>(round);
    BoxedChains proposed(energy, box, chains, seed, kMoves + 1 + number, stop);
    const std::vector<double> proposed_weights = proposed.anneal_forward(path);
    for (std::size_t c = 0; c < moves.size(); ++c) {
      const float u = uniform(decisions.words(number, static_cast<std::uint32_t>(c), 0).v[0]);
      moves[c] = MalaUpdate::accepts(proposed_weights[c] - log_weights[c], u) ? 1 : 0;
      log_weights[c] = moves[c] != 0 ? proposed_weights[c] : log_weights[c];
      accepted += moves[c];
    }
    const Mirror<const std::uint32_t> moves_there(energy.queue(), moves);
    copy_some_rows(energy.queue(), moves_there.data(), proposed.states(), chains,
                   energy.state_size(), states);
    energy.queue().wait();
  }
  return accepted / static_cast<double>(rounds) / static_cast<double>(chains);
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

LogMeanBracket log_mean_bracket(std::span<const double> forward, std::span<const double> reverse,
                                int groups) {
  const auto count = static_cast<std::size_t>(groups);
  const std::size_t size = forward.size() / count;
  const std::size_t back = reverse.size() / count;
  std::vector<double> below(count);
  std::vector<double> above(count);
  for (std::size_t group = 0; group < count; ++group) {
    const std::span<const double> mine = forward.subspan(group * size, size);
    const double largest = *std::ranges::max_element(mine);
    double sum = 0;
    for (const double log_weight : mine) sum += std::exp(log_weight - largest);
    const double log_sum = largest + std::log(sum);
    below[group] = log_sum - std::log(size);
    for (const double log_weight : reverse.subspan(group * back, back)) {
      const double high = std::max(log_sum, -log_weight);
      const double with_it = high + std::log1p(std::exp(-std::abs(log_sum + log_weight)));
      above[group] += (with_it - std::log(size + 1)) / static_cast<double>(back);
    }
  }
  const auto [forward_mean, forward_error] = mean_and_error(below);
  const auto [reverse_mean, reverse_error] = mean_and_error(above);
  return {.forward = forward_mean,
          .forward_error = forward_error,
          .reverse = reverse_mean,
          .reverse_error = reverse_error,
          .effective_size = weight_mean(forward, groups).effective_size};
}

}  // namespace ebm
