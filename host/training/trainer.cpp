#include "host/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "cuda/base/content_digest.h"
#include "cuda/base/errors.h"
#include "cuda/device/profile_range.h"
#include "host/data/make_batches.h"
#include "host/training/divergence.h"
#include "host/training/logged_images.h"

namespace ebm {
namespace {

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

ImageDataset load_training_images(const TrainConfig& config, const ComputeDevice& device,
                                  RunLog& log) {
  const DataConfig& data = config.data;
  if (data.is_toy()) {
    return {};
  }
  const Network network = make_network(config.network);
  require_energy_memory(device, network, config.train.batch_size,
                        learning_bytes(config, network, 0, device));
  ImageDataset images = load_images_logged(data, log);
  log.info(fmt::format("{} images of {}x{}x{} from {}", images.count, images.channels,
                       images.height, images.width, data.source()));
  if (config.train.batch_size > images.count) {
    throw ConfigurationError(fmt::format(
        "train.batch_size: {} is more than the {} images of {}; a batch is distinct images",
        config.train.batch_size, images.count, data.source()));
  }
  return images;
}

TrainingData training_data(const DataConfig& data, const ImageDataset& images) {
  if (data.is_toy()) {
    return {};
  }
  const std::array<std::int32_t, 4> sizes{images.count, images.channels, images.height,
                                          images.width};
  const std::array<std::span<const std::byte>, 2> content{std::as_bytes(std::span(sizes)),
                                                          std::as_bytes(std::span(images.images))};
  return {.name = data.source(), .images = images.count, .digest = to_text(digest_of(content))};
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

std::size_t learning_bytes(const TrainConfig& config, const Network& network, std::int64_t images,
                           const ComputeDevice& device) {
  const std::int64_t size = network.input().size();
  const std::int64_t theta = network.parameter_count();
  const std::int64_t rows = bank_rows(config, images);
  const bool adam = config.optimizer.kind == OptimizerKind::adam;
  const std::size_t learner =
      learner_bytes(learner_settings(config), size, theta, adam, images * size, rows);
  // The copy of the state that a checkpoint is written from; the host's, which a CPU's memory is.
  const std::int64_t copy = rows * size + theta * (adam ? 3 : 1);
  return learner + (device.on_cuda ? 0 : static_cast<std::size_t>(copy) * sizeof(float));
}

Trainer::Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log, StopRequest stop,
                 const ComputeDevice& device)
    : config_(config),
      log_(log),
      stop_(std::move(stop)),
      images_(load_training_images(config, device, log)),
      network_(make_network(config.network)),
      energy_(make_energy_on(device)),
      trained_on_(training_data(config.data, images_)),
      state_(first_state()),
      data_(make_batches(energy_->queue(), config.seed, config.data, images_)),
      learner_(*energy_, network_.parameter_count(), learner_settings(config), *data_),
      diagnostic_chains_(config_, std::ssize(state_.learned.bank) / network_.input().size(),
                         *energy_, learner_),
      checkpoints_(folder.checkpoints(), config.checkpoint, checkpoint_info(config, network_),
                   network_, first_state(),
                   [&log](const std::string& reason) { log.warn(reason); }),
      outputs_(config_, network_.input(), folder, log) {
  const int kde_chains = config.landscape.kde.chains;
  const std::int64_t chains = diagnostic_chains_.landscape_chains();
  if (outputs_.has_landscape() && kde_chains > chains) {
    log.warn(fmt::format("landscape.kde.chains: {}, but the bank has {} rows; those are used",
                         kde_chains, chains));
  }
  has_state_ = checkpoints_.load_latest(state_);
  outputs_.go_back(state_.iteration, state_.rollbacks);
  use_state();
}

std::unique_ptr<Energy> Trainer::make_energy_on(const ComputeDevice& device) const {
  const std::int64_t batch = config_.train.batch_size;
  const std::size_t learning = learning_bytes(config_, network_, images_.count, device);
  log_.info(describe_memory(device, network_, batch, learning));
  return make_energy(device, network_, batch, learning);
}

TrainingState Trainer::first_state() const {
  TrainingState state = initial_state(config_, network_, images_.count);
  state.data = trained_on_;
  return state;
}

void Trainer::start_from(const Origin& origin) {
  if (origin.bank) {
    Buffer<float>& bank = state_.learned.bank;
    const std::vector<float>& given = origin.bank->values;
    if (given.size() != bank.size()) {
      const std::int64_t size = network_.input().size();
      throw ConfigurationError(
          fmt::format("--with-bank: the bank of {} has {} states, but this run's {}",
                      origin.bank->state.string(), std::ssize(given) / size,
                      config_.data.is_toy()
                          ? fmt::format("langevin.bank_size is {}", config_.langevin.bank_size)
                          : fmt::format("has one for each of the {} images of {}", images_.count,
                                        config_.data.source())));
    }
    std::ranges::copy(given, bank.data());
  }
  std::ranges::copy(origin.theta.span(), state_.learned.theta.data());
  use_state();
  checkpoints_.save(state_);
  checkpoints_.finish();
  has_state_ = true;
}

/// After another state has been put into state_.
void Trainer::use_state() {
  std::uint64_t seed = config_.seed;
  if (state_.rollbacks > 0) {
    const Words4 words =
        RandomStream{config_.seed, Purpose::rollback, static_cast<std::uint32_t>(state_.rollbacks)}
            .words(0, 0, 0);
    seed = std::uint64_t{words.v[1]} << 32 | words.v[0];
  }
  learner_.begin(state_.learned, seed);
}

bool Trainer::run() {
  try {
    bool goes_on = !state_.long_run_is_due || finish_long_run();
    while (goes_on && state_.iteration < config_.train.iterations) {
      goes_on = !stop_() && iterate();
      const Due due = goes_on ? due_after(state_.iteration, config_) : Due{};
      if (!take_results(!goes_on || due.anything())) {
        handle_divergence();
        goes_on = true;
      } else if (!goes_on) {
        save_and_stop();
      } else if (due.anything()) {
        goes_on = write_what_is_due(due);
      }
    }
    checkpoints_.finish();
    outputs_.finish();
    return goes_on;
  } catch (...) {
    try {
      outputs_.sync();
    } catch (const OutputError&) {  // what is thrown already says more
    }
    throw;
  }
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

/// Records what is known of the iterations so far. Returns false when learning diverged in the
/// last.
bool Trainer::take_results(bool all) {
  for (const IterationResult& result : learner_.results(all)) {
    last_ = result;
    if (result.fault != Fault::none) {
      return false;
    }
    outputs_.add(result);
  }
  return true;
}

/// By the schedule, and what rollbacks have left of it.
double Trainer::learning_rate() const { return state_.learning_rate * state_.rate_factor; }

/// SGD's rate is scaled by ε²/2, so that tuning does not depend on ε.
double Trainer::optimizer_rate() const {
  const double epsilon = config_.langevin.epsilon;
  const bool scaled = config_.optimizer.kind == OptimizerKind::sgd && epsilon > 0;
  return scaled ? learning_rate() * epsilon * epsilon / 2 : learning_rate();
}

/// Rolls back, or throws Divergence.
void Trainer::handle_divergence() {
  const std::int64_t t = last_.iteration.number;
  learner_.synchronize();
  outputs_.add(last_);
  outputs_.write_log_point(false);
  checkpoints_.save_diverged(t, state_.learned.theta.span());
  const DivergenceConfig& divergence = config_.divergence;
  const std::string what = fmt::format("training diverged at iteration {}: {}", t,
                                       describe_divergence(last_, divergence));
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
    state_ = first_state();
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

/// Whatever is due after an iteration. Returns false when it was stopped.
bool Trainer::write_what_is_due(const Due& due) {
  checkpoints_.throw_failure();
  learner_.synchronize();
  if (due.log_line) {
    outputs_.write_log_point(due.diagnosis);
  }
  if (due.short_run) {
    const std::span<const float> chains = learner_.read_chains();
    const std::span<const float> bank = std::as_const(state_.learned.bank).span();
    outputs_.write_short_run(chains, bank.first(std::min(bank.size(), chains.size())));
  }
  if (due.landscape) {
    const Buffer<float> f = diagnostic_chains_.energies(outputs_.grid_states());
    outputs_.write_landscape(
        f.span(), diagnostic_chains_.short_run_density(state_.iteration, outputs_.grid_axis()));
  }
  state_.long_run_is_due = due.long_run;
  if (due.checkpoint) {
    outputs_.sync();
    checkpoints_.save(state_);
  }
  return !due.long_run || finish_long_run();
}

/// Long chains show what the energy, and not the short run, has learned. The bank is left alone.
/// Returns false when it was stopped.
bool Trainer::finish_long_run() {
  const std::int64_t values = config_.train.batch_size * network_.input().size();
  LongRun run{.states = Buffer<float>(static_cast<std::size_t>(values))};
  checkpoints_.load_long_run(state_, run);
  if (!outputs_.begin_long_run(run.steps)) {
    run.steps = 0;
  }
  if (!diagnostic_chains_.finish(run, state_.iteration, stop_, [&](auto energies, auto norms) {
        outputs_.add_long_run(run.steps, energies, norms);
      })) {
    save_and_stop();
    outputs_.sync_long_run();
    checkpoints_.save_long_run(state_, run);
    return false;
  }
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
