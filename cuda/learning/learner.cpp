#include "cuda/learning/learner.h"

#include <iterator>

#include "cuda/device/profile_range.h"

namespace ebm {

Learner::Learner(Energy& energy, std::int64_t parameters, const LearnerSettings& settings,
                 DataBatches& data)
    : settings_(settings),
      energy_(energy),
      queue_(energy.queue()),
      data_(data),
      runner_(energy),
      shard_(settings.batch_size),
      batch_(queue_, shard_.count * energy.state_size()),
      chains_(queue_, batch_.size()),
      norm_sums_(queue_, shard_.count),
      energy_difference_(energy, settings.epsilon, shard_, parameters),
      max_abs_(queue_, parameters),
      largest_weight_(queue_, 1),
      ring_(queue_) {}

void Learner::begin(LearnerState& state, std::uint64_t seed) {
  queue_.wait();
  state_ = &state;
  seed_ = seed;
  data_.reseed(seed);
  theta_ = {};  // gives its memory back first
  theta_ = Mirror<float>(queue_, state.theta.span());
  optimizer_.emplace(queue_, state.optimizer);
  bank_.reset();
  if (state.bank.size() > 0) {
    bank_.emplace(queue_, seed, state.bank.span(), energy_.state_size());
  }
  energy_.set_parameters(theta_.data());
  ring_.reset();
}

ChainRun Learner::langevin_steps(const RandomStream& noise, int steps,
                                 std::uint32_t first_step) const {
  ChainRun run{.update = {.epsilon = settings_.epsilon, .noise = noise, .step = first_step},
               .steps = steps};
  if (settings_.clamp) {
    run.update.lowest = settings_.clamp->first;
    run.update.highest = settings_.clamp->second;
  }
  return run;
}

void Learner::draw_starts(InitialStates init, DataUse use, std::uint32_t iteration,
                          const Shard& shard, float* states) {
  const Starts starts{.init = init,
                      .noise_factor = settings_.noise_factor,
                      .seed = seed_,
                      .data = &data_,
                      .bank = bank_ ? &*bank_ : nullptr};
  starts.draw(queue_, use, iteration, shard, states);
}

/// Algorithm 1. Its steps have their names there, for a profiler to show; the chains go back to the
/// bank (step 4) only when the new weights are within their limit.
bool Learner::iterate(const Iteration& iteration, const std::function<bool()>& give_up) {
  const auto begun = IterationRing::Clock::now();
  const ProfileRange range("iteration");
  const std::int64_t parameters = std::ssize(theta_);
  const auto t = static_cast<std::uint32_t>(iteration.number);

  ProfileRange step("1 data batch");
  data_.draw(DataUse::batch, t, shard_, batch_.data());

  step.next("2 initial states");
  draw_starts(settings_.init, DataUse::initial_states, t, shard_, chains_.data());

  step.next("3 Langevin steps");
  clear(queue_, norm_sums_.size(), norm_sums_.data());
  if (!runner_.run(langevin_steps({seed_, Purpose::langevin, t}, settings_.steps),
                   {.count = shard_.count,
                    .first = static_cast<std::uint32_t>(shard_.first),
                    .memory = {.states = chains_.data()},
                    .norm_sums = norm_sums_.data()},
                   give_up)) {
    return false;
  }

  step.next("5 energy difference");
  energy_difference_.compute(batch_.data(), chains_.data());
  const DivergedFlag diverged = ring_.diverged();
  IterationNumbers* const numbers = ring_.add(iteration, begun);
  sum_up_iteration(queue_,
                   {.factor = energy_difference_.factor(),
                    .batch = shard_.total,
                    .steps = settings_.steps,
                    .data_f = energy_difference_.data_f(),
                    .chain_f = energy_difference_.sample_f(),
                    .norm_sums = norm_sums_.data()},
                   settings_.limits, diverged, numbers);

  step.next("5 optimizer step, 4 bank");
  optimizer_->step(iteration.optimizer_rate, parameters, energy_difference_.gradient(),
                   theta_.data(), diverged.there);
  max_abs_(theta_.data(), largest_weight_.data());
  sum_up_weights(queue_, largest_weight_.data(), settings_.limits, diverged, numbers);
  if (settings_.init == InitialStates::persistent) {
    bank_->put(chains_.data(), diverged.there);
  }
  energy_.set_parameters(theta_.data());
  return true;
}

std::span<const IterationResult> Learner::results(bool all) {
  const std::span<const IterationResult> read = ring_.read(all);
  if (!read.empty() && read.back().fault != Fault::none) {
    optimizer_->take_back(ring_.begun_in_vain() - (read.back().fault == Fault::weight ? 1 : 0));
  }
  return read;
}

void Learner::synchronize() {
  theta_.read_back(queue_);
  optimizer_->read_back();
  if (bank_) {
    bank_->read_back();
  }
  queue_.wait();
}

std::span<const float> Learner::read_chains() {
  if (queue_.on_cpu()) {
    return {chains_.data(), chains_.size()};
  }
  chains_here_ = Buffer<float>(chains_.size());
  copy(queue_, chains_.data(), chains_.size(), chains_here_.data());
  queue_.wait();
  return chains_here_.span();
}

std::size_t learner_bytes(const LearnerSettings& settings, std::int64_t state_size,
                          std::int64_t parameters, bool adam, std::int64_t data_values,
                          std::int64_t bank_rows) {
  // Of each chain its data, its state, a long run's and its gradient, and numbers, of which a long
  // run has two of each of 20 steps; θ, two gradients, moments.
  const std::int64_t values = data_values + bank_rows * state_size +
                              settings.batch_size * (4 * state_size + 50) +
                              parameters * (3 + (adam ? 2 : 0));
  constexpr std::size_t kSmall = std::size_t{1} << 18;  // records, scratch, a landscape's chains
  return static_cast<std::size_t>(values) * sizeof(float) + kSmall;
}

}  // namespace ebm
