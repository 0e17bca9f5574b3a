#include "host/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "cuda/base/errors.h"
#include "cuda/device/profile_range.h"
#include "cuda/kernels/gaussian_kde.h"
#include "cuda/nn/host_states.h"
#include "host/data/load_images.h"
#include "host/data/make_batches.h"

namespace ebm {
namespace {

/// Learning diverged in an iteration.
struct Diverged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool is_multiple(std::int64_t iteration, int every) { return every > 0 && iteration % every == 0; }

std::string shown(double x) { return std::isnan(x) ? "nan" : fmt::format("{:.6g}", x); }

/// "d_s is nan", or "… and beyond divergence.energy_difference: 1e9".
std::string describe_fault(const IterationResult& result, const DivergenceConfig& limits) {
  const auto describe = [](std::string_view what, double value, std::string_view key,
                           double limit) {
    return std::isfinite(value) ? fmt::format("{} is {} and beyond divergence.{}: {}", what,
                                              shown(value), key, limit)
                                : fmt::format("{} is {}", what, shown(value));
  };
  switch (result.fault) {
    case Fault::energy_difference:
      return describe("d_s", result.d_s, "energy_difference", limits.energy_difference);
    case Fault::gradient_strength:
      return describe("r_s", result.r_s, "gradient_strength", limits.gradient_strength);
    case Fault::energy:
      return describe("an energy", result.largest_energy, "energy", limits.energy);
    case Fault::weight:
      return describe("a weight", static_cast<double>(result.largest_weight), "weight",
                      limits.weight);
    case Fault::none:
      break;
  }
  return "";
}

ImageDataset load_training_images(const TrainConfig& config, RunLog& log) {
  const DataConfig& data = config.data;
  if (data.is_toy()) {
    return {};
  }
  Pace pace(0, 0);
  ImageDataset images = load_images(data, [&](std::size_t done, std::size_t total) {
    if (log.is_live() && pace.due()) {
      log.live(fmt::format("preparing images: {} of {}", done, total));
    }
  });
  log.info(fmt::format("{} images of {}x{}x{} from {}", images.count, images.channels,
                       images.height, images.width, data.path));
  if (config.train.batch_size > images.count) {
    throw ConfigurationError(fmt::format(
        "train.batch_size: {} is more than the {} images of {}; a batch is distinct images",
        config.train.batch_size, images.count, data.path));
  }
  return images;
}

LearnerSettings learner_settings(const TrainConfig& config) {
  LearnerSettings settings{.epsilon = static_cast<float>(config.langevin.epsilon),
                           .steps = config.langevin.steps,
                           .init = config.langevin.init,
                           .noise_factor = static_cast<float>(config.langevin.noise_init_factor),
                           .batch_size = config.train.batch_size,
                           .limits = {.energy_difference = config.divergence.energy_difference,
                                      .gradient_strength = config.divergence.gradient_strength,
                                      .energy = config.divergence.energy,
                                      .weight = config.divergence.weight}};
  if (config.langevin.clamp) {
    settings.clamp.emplace(static_cast<float>(config.langevin.clamp->first),
                           static_cast<float>(config.langevin.clamp->second));
  }
  return settings;
}

Diagnosis diagnosis(const IterationResult& result) {
  return {result.d_s, result.r_s, result.iteration.learning_rate};
}

/// Turns on, or off, a profiler of the queue's device that was started to wait for that.
void profile_device(const Queue& queue, bool on) {
  queue.wait();
  if (!queue.on_cpu()) {
    set_profiling(on);
  }
}

CheckpointInfo checkpoint_info(const TrainConfig& config, const Network& network) {
  return {.network = std::string(to_string(config.network.kind)),
          .channels = network.input().channels,
          .features = config.network.features,
          .epsilon = config.langevin.epsilon,
          .steps = config.langevin.steps,
          .clamp = config.langevin.clamp,
          .data_noise = config.data.is_toy() ? 0 : config.data.noise};
}

}  // namespace

Trainer::Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log, StopRequest stop,
                 const ComputeDevice& device)
    : config_(config),
      log_(log),
      stop_(std::move(stop)),
      images_(load_training_images(config, log)),
      network_(make_network(config.network)),
      state_(initial_state(config, network_, images_.count)),
      energy_(make_energy_on(device)),
      data_(make_batches(energy_->queue(), config.seed, config.data, images_)),
      learner_(*energy_, network_.parameter_count(), learner_settings(config), *data_),
      runner_(*energy_),
      checkpoints_(folder.checkpoints(), config.checkpoint, checkpoint_info(config, network_),
                   network_, initial_state(config, network_, images_.count),
                   [&log](const std::string& reason) { log.warn(reason); }),
      outputs_(config, network_.input(), folder, log) {
  const int kde_chains = config.landscape.kde.chains;
  if (outputs_.has_landscape() && kde_chains > landscape_chains()) {
    log.warn(fmt::format("landscape.kde.chains: {}, but the bank has {} rows; those are used",
                         kde_chains, landscape_chains()));
  }
  checkpoints_.load_latest(state_);
  outputs_.go_back(state_.iteration, state_.rollbacks);
  use_state();
}

std::unique_ptr<Energy> Trainer::make_energy_on(const ComputeDevice& device) const {
  const std::int64_t size = network_.input().size();
  const std::size_t learning =
      learner_bytes(learner_settings(config_), size, network_.parameter_count(),
                    config_.optimizer.kind == OptimizerKind::adam, std::ssize(images_.images),
                    std::ssize(state_.learned.bank) / size);
  return make_energy(device, network_, config_.train.batch_size, learning);
}

/// After another state has been put into state_.
void Trainer::use_state() {
  seed_ = config_.seed;
  if (state_.rollbacks > 0) {
    const Words4 words =
        RandomStream{config_.seed, Purpose::rollback, static_cast<std::uint32_t>(state_.rollbacks)}
            .words(0, 0, 0);
    seed_ = std::uint64_t{words.v[1]} << 32 | words.v[0];
  }
  learner_.begin(state_.learned, seed_);
}

bool Trainer::run() {
  for (;;) {
    try {
      const bool is_done = run_iterations();
      checkpoints_.finish();
      outputs_.finish();
      return is_done;
    } catch (const Diverged& reason) {
      handle_divergence(reason.what());
    } catch (...) {
      try {
        outputs_.sync();
      } catch (const OutputError&) {  // what is thrown already says more
      }
      throw;
    }
  }
}

/// Returns false when it was stopped.
bool Trainer::run_iterations() {
  if (state_.long_run_is_due && !run_long_chains()) {
    return false;
  }
  while (state_.iteration < config_.train.iterations) {
    if (stop_() || !iterate()) {
      take_results(true);
      save_and_stop();
      return false;
    }
    const bool due = something_is_due();
    take_results(due);
    if (due && !run_scheduled_work()) {
      return false;
    }
  }
  return true;
}

/// The next iteration of Algorithm 1, or its beginning. Returns false, and leaves the state as it
/// was, when it had to be given up.
bool Trainer::iterate() {
  const Iteration iteration{.number = state_.iteration + 1,
                            .learning_rate = learning_rate(),
                            .optimizer_rate = optimizer_rate()};
  if (iteration.number == profiled_.first) {
    profile_device(energy_->queue(), true);
  }
  if (!learner_.iterate(iteration, [this] { return must_give_up(); })) {
    return false;
  }
  if (iteration.number == profiled_.second) {
    profile_device(energy_->queue(), false);
  }
  state_.learning_rate =
      std::max(config_.optimizer.lr_min, state_.learning_rate * config_.optimizer.lr_decay);
  state_.iteration = iteration.number;
  return true;
}

/// Records what is known of the iterations so far. Throws Diverged.
void Trainer::take_results(bool all) {
  for (const IterationResult& result : learner_.results(all)) {
    last_ = result;
    if (result.fault != Fault::none) {
      throw Diverged(describe_fault(result, config_.divergence));
    }
    outputs_.add(result.iteration.number, diagnosis(result), result.seconds);
  }
}

/// By the schedule, and what rollbacks have left of it.
double Trainer::learning_rate() const { return state_.learning_rate * state_.rate_factor; }

/// SGD's rate is scaled by ε²/2, so that tuning does not depend on ε.
double Trainer::optimizer_rate() const {
  const double epsilon = config_.langevin.epsilon;
  const bool scaled = config_.optimizer.kind == OptimizerKind::sgd && epsilon > 0;
  return scaled ? learning_rate() * epsilon * epsilon / 2 : learning_rate();
}

void Trainer::handle_divergence(const std::string& reason) {
  const std::int64_t t = last_.iteration.number;
  learner_.synchronize();
  outputs_.add(t, diagnosis(last_), 0);
  outputs_.write_log_point(false);
  checkpoints_.save_diverged(t, state_.learned.theta.span());
  const DivergenceConfig& divergence = config_.divergence;
  const std::string what = fmt::format("training diverged at iteration {}: {}", t, reason);
  if (divergence.action == DivergenceAction::rollback && state_.rollbacks < divergence.times) {
    roll_back(what);
    return;
  }
  throw Divergence(fmt::format(
      "{}; {}; the network is kept as checkpoints/diverged_{:06}.safetensors", what,
      state_.rollbacks > 0
          ? fmt::format("it has been rolled back {} times already", state_.rollbacks)
          : fmt::format("a smaller optimizer.lr{} usually helps, or divergence.action: rollback",
                        config_.data.is_toy() ? "" : ", more data.noise"),
      t));
}

/// Goes on from the last state that was due, so that it does not matter whether the run was stopped
/// in between, or from the start.
void Trainer::roll_back(const std::string& what) {
  const int rollbacks = state_.rollbacks + 1;
  const double rate_factor = state_.rate_factor * config_.divergence.factor;
  if (!checkpoints_.load_last_due(state_)) {
    state_ = initial_state(config_, network_, images_.count);
  }
  state_.rollbacks = rollbacks;
  state_.rate_factor = rate_factor;
  state_.long_run_is_due = false;
  use_state();
  outputs_.go_back(state_.iteration, rollbacks - 1);
  outputs_.add_rollback(last_.iteration.number, what, state_.iteration, rate_factor);
  log_.warn(
      fmt::format("{}; going on from iteration {} with other noise and the learning rate "
                  "times {} (rollback {} of {})",
                  what, state_.iteration, rate_factor, rollbacks, config_.divergence.times));
}

/// Whether run_scheduled_work() has anything to do after this iteration.
bool Trainer::something_is_due() const {
  const std::int64_t t = state_.iteration;
  return t == 1 || t == config_.train.iterations || is_multiple(t, config_.log.every) ||
         is_multiple(t, config_.checkpoint.every) ||
         is_multiple(t, config_.data.is_toy() ? config_.landscape.every : config_.longrun.every);
}

/// Whatever is due after an iteration. Returns false when it was stopped.
bool Trainer::run_scheduled_work() {
  const std::int64_t t = state_.iteration;
  const bool images = !config_.data.is_toy();
  const bool first = t == 1;
  const bool last = t == config_.train.iterations;
  const bool at_log_point = last || is_multiple(t, config_.log.every);
  checkpoints_.throw_failure();
  learner_.synchronize();
  if (at_log_point || first) {
    outputs_.write_log_point(!first);
  }
  if (at_log_point && images) {
    const std::span<const float> chains = learner_.read_chains();
    const std::span<const float> bank = std::as_const(state_.learned.bank).span();
    outputs_.write_short_run(chains, bank.first(std::min(bank.size(), chains.size())));
  }
  if (outputs_.has_landscape() && (first || last || is_multiple(t, config_.landscape.every))) {
    write_landscape();
  }
  state_.long_run_is_due = images && is_multiple(t, config_.longrun.every);
  if (last || is_multiple(t, config_.checkpoint.every)) {
    outputs_.sync();
    checkpoints_.save(state_);
  }
  return !state_.long_run_is_due || run_long_chains();
}

/// Langevin steps of chains that start where training's do, numbered by the iteration.
void Trainer::run_diagnostic_chains(Purpose noise, int first_step, int steps, std::int64_t chains,
                                    float* states) {
  Array<float> norm_sums(energy_->queue(), chains);
  clear(energy_->queue(), norm_sums.size(), norm_sums.data());
  const RandomStream stream{seed_, noise, static_cast<std::uint32_t>(state_.iteration)};
  runner_.run(learner_.langevin_steps(stream, steps, static_cast<std::uint32_t>(first_step)),
              {.count = chains, .memory = {.states = states}, .norm_sums = norm_sums.data()},
              [] { return false; });
}

/// Those of the KDE. Persistent ones are drawn without replacement: as many as there are.
std::int64_t Trainer::landscape_chains() const {
  const std::int64_t chains = config_.landscape.kde.chains;
  return config_.langevin.init == InitialStates::persistent
             ? std::min(chains, std::ssize(state_.learned.bank) / network_.input().size())
             : chains;
}

/// The energy on the grid, and fresh short-run chains as the training's own, for the KDE.
void Trainer::write_landscape() {
  const std::int64_t chains = landscape_chains();
  Buffer<float> states(static_cast<std::size_t>(2 * chains));
  Mirror<float> there(energy_->queue(), states.span());
  learner_.draw_starts(config_.langevin.init, DataUse::landscape,
                       static_cast<std::uint32_t>(state_.iteration), chains, there.data());
  run_diagnostic_chains(Purpose::landscape_langevin, 0, config_.langevin.steps, chains,
                        there.data());
  there.read_back(energy_->queue());
  energy_->queue().wait();
  const std::vector<float>& grid = outputs_.grid_states();
  Buffer<float> f(grid.size() / 2);
  HostStates(*energy_).energies(grid, f.span());
  outputs_.write_landscape(
      f.span(), gaussian_kde(energy_->queue(), states.span(), config_.landscape.kde.bandwidth,
                             outputs_.grid_axis()));
}

/// Long chains show what the energy, and not the short run, has learned. The bank is left alone.
/// Returns false when it was stopped.
bool Trainer::run_long_chains() {
  constexpr int kBetweenStops = 20;  // steps; results do not depend on it
  const std::int64_t chains = config_.train.batch_size;
  LongRun run{.states = Buffer<float>(static_cast<std::size_t>(chains * network_.input().size()))};
  checkpoints_.load_long_run(state_, run);
  Mirror<float> states(energy_->queue(), run.states.span());
  if (run.steps == 0) {
    learner_.draw_starts(config_.longrun.init, DataUse::longrun,
                         static_cast<std::uint32_t>(state_.iteration), chains, states.data());
  }
  const auto read_back = [&] {
    states.read_back(energy_->queue());
    energy_->queue().wait();
  };
  while (run.steps < config_.longrun.steps) {
    if (stop_()) {
      save_and_stop();
      read_back();
      checkpoints_.save_long_run(state_, run);
      return false;
    }
    const int steps = std::min(kBetweenStops, config_.longrun.steps - run.steps);
    run_diagnostic_chains(Purpose::longrun_langevin, run.steps, steps, chains, states.data());
    energy_->queue().wait();
    run.steps += steps;
    outputs_.show_long_run(run.steps);
  }
  read_back();
  outputs_.write_long_run(run.states.span());
  checkpoints_.remove_long_run();
  state_.long_run_is_due = false;
  return true;
}

bool Trainer::must_give_up() const {
  const std::optional<double> seconds = stop_();
  return seconds && *seconds >= config_.checkpoint.grace;
}

/// A run stopped before its first iteration starts over.
void Trainer::save_and_stop() {
  learner_.synchronize();
  outputs_.write_log_point(false);
  outputs_.sync();
  if (state_.iteration > 0) {
    checkpoints_.save_between(state_);
  }
}

}  // namespace ebm
