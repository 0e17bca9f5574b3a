#include "host/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "cuda/kernels/largest.cuh"
#include "cuda/kernels/random_states.cuh"
#include "host/data/load_images.h"
#include "host/errors.h"

namespace ebm {
namespace {

/// Learning came apart in the iteration at work.
struct CameApart : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool is_multiple(std::int64_t iteration, int every) { return every > 0 && iteration % every == 0; }

std::string shown(double x) { return std::isnan(x) ? "nan" : fmt::format("{:.6g}", x); }

/// Throws CameApart unless a number is within a limit of the configuration.
void require_within(std::string_view what, double value, std::string_view key, double limit) {
  if (!std::isfinite(value)) {
    throw CameApart(fmt::format("{} is {}", what, shown(value)));
  }
  if (std::abs(value) > limit) {
    throw CameApart(
        fmt::format("{} is {} and beyond divergence.{}: {}", what, shown(value), key, limit));
  }
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

std::unique_ptr<DataBatches> make_batches(const TrainConfig& config, const ImageDataset& images) {
  const DataConfig& data = config.data;
  if (data.is_toy()) {
    return std::make_unique<ToyBatches>(config.seed,
                                        ToyDraw{.rings = data.kind == DataKind::rings,
                                                .groups = data.groups,
                                                .sd = static_cast<float>(data.sd),
                                                .radius = static_cast<float>(data.radius)});
  }
  return std::make_unique<ImageBatches>(
      config.seed, images.images, std::int64_t{images.channels} * images.height * images.width,
      static_cast<float>(data.noise));
}

CheckpointInfo checkpoint_info(const TrainConfig& config, const Network& network) {
  return {.network = std::string(to_string(config.network.kind)),
          .channels = network.input().channels,
          .features = config.network.features,
          .epsilon = config.langevin.epsilon};
}

}  // namespace

Trainer::Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log, StopRequest stop)
    : config_(config),
      log_(log),
      stop_(std::move(stop)),
      images_(load_training_images(config, log)),
      data_(make_batches(config, images_)),
      network_(make_network(trained_network(config))),
      energy_(make_cpu_energy(network_)),
      state_(initial_state(config, network_, images_.count)),
      checkpoints_(folder.checkpoints(), config.checkpoint, checkpoint_info(config, network_),
                   network_, [&log](const std::string& reason) { log.warn(reason); }),
      outputs_(config, network_.input(), folder, log),
      gradient_(state_.theta.size()),
      batch_(static_cast<std::size_t>(config.train.batch_size * network_.input().size())),
      chains_(batch_.size()),
      sampler_(static_cast<float>(config.langevin.epsilon)),
      energy_difference_(static_cast<float>(config.langevin.epsilon)) {
  if (config.langevin.clamp) {
    sampler_.clamp_to(static_cast<float>(config.langevin.clamp->first),
                      static_cast<float>(config.langevin.clamp->second));
  }
  const int kde_chains = config.landscape.kde.chains;
  if (outputs_.has_landscape() && state_.bank && kde_chains > state_.bank->rows()) {
    log.warn(fmt::format("landscape.kde.chains: {}, but the bank has {} rows; those are used",
                         kde_chains, state_.bank->rows()));
  }
  checkpoints_.load_latest(state_);
  outputs_.go_back(state_.iteration, state_.rollbacks);
  use_state();
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
  data_->reseed(seed_);
  if (state_.bank) {
    state_.bank->reseed(seed_);
  }
  energy_->set_parameters(state_.theta.span());
}

bool Trainer::run() {
  for (;;) {
    try {
      const bool is_done = run_iterations();
      outputs_.finish();
      return is_done;
    } catch (const CameApart& reason) {
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
    const std::optional<double> seconds = stop_() ? std::nullopt : iterate();
    if (!seconds) {
      save_and_stop();
      return false;
    }
    if (!report(*seconds)) {
      return false;
    }
  }
  return true;
}

/// The next iteration of Algorithm 1. Returns its seconds; nothing, and leaves the state as it was,
/// when it had to be given up.
std::optional<double> Trainer::iterate() {
  const auto begin = std::chrono::steady_clock::now();
  at_work_ = state_.iteration + 1;

  data_->draw(DataUse::batch, static_cast<std::uint32_t>(at_work_), batch_.span());
  draw_starts(config_.langevin.init, DataUse::initial_states, chains_.span());
  const std::optional<double> r_s =
      sampler_.run(*energy_, stream(Purpose::langevin), 0, config_.langevin.steps, chains_.span(),
                   [this] { return must_give_up(); });
  if (!r_s) {
    return std::nullopt;
  }
  const double d_s = energy_difference_(*energy_, batch_.span(), chains_.span(), gradient_.span());
  last_ = {d_s, *r_s, learning_rate()};
  require_sane_numbers();
  state_.optimizer.step(optimizer_rate(), gradient_.span(), state_.theta.span());
  require_within("a weight", largest_size(std::ssize(state_.theta.span()), state_.theta.data()),
                 "weight", config_.divergence.weight);
  if (state_.bank) {
    state_.bank->put(chains_.span());
  }
  energy_->set_parameters(state_.theta.span());
  state_.learning_rate =
      std::max(config_.optimizer.lr_min, state_.learning_rate * config_.optimizer.lr_decay);
  state_.iteration = at_work_;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void Trainer::require_sane_numbers() const {
  const DivergenceConfig& limits = config_.divergence;
  require_within("d_s", last_.d_s, "energy_difference", limits.energy_difference);
  require_within("r_s", last_.r_s, "gradient_strength", limits.gradient_strength);
  require_within("an energy", energy_difference_.largest_energy(), "energy", limits.energy);
}

/// Fills chains' starting states. Only the training's own (initial_states) take rows out of the
/// bank to be put back.
void Trainer::draw_starts(InitialStates init, DataUse use, std::span<float> states) {
  const auto t = static_cast<std::uint32_t>(at_work_);
  const std::int64_t size = network_.input().size();
  const std::int64_t chains = std::ssize(states) / size;
  const auto factor = static_cast<float>(config_.langevin.noise_init_factor);
  const Purpose noise = use == DataUse::longrun     ? Purpose::longrun_states
                        : use == DataUse::landscape ? Purpose::landscape_states
                                                    : Purpose::initial_states;
  switch (init) {
    case InitialStates::persistent:
      if (use == DataUse::initial_states) {
        state_.bank->draw(t, states);
      } else {
        state_.bank->peek(rows_purpose(use), t, states);
      }
      break;
    case InitialStates::data:
      data_->draw(use, t, states);
      break;
    case InitialStates::uniform:
      fill_uniform(stream(noise), factor, chains, size, states.data());
      break;
    case InitialStates::gaussian:
      fill_normal(stream(noise), factor, chains, size, states.data());
      break;
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
  outputs_.add(at_work_, last_, 0);
  outputs_.write_log_point(false);
  checkpoints_.save_diverged(at_work_, state_.theta.span());
  const DivergenceConfig& divergence = config_.divergence;
  const std::string what = fmt::format("training diverged at iteration {}: {}", at_work_, reason);
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
      at_work_));
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
  outputs_.add_rollback(at_work_, what, state_.iteration, rate_factor);
  log_.warn(
      fmt::format("{}; going on from iteration {} with other noise and the learning rate "
                  "times {} (rollback {} of {})",
                  what, state_.iteration, rate_factor, rollbacks, config_.divergence.times));
}

/// Whatever is due after an iteration. Returns false when it was stopped.
bool Trainer::report(double seconds) {
  const std::int64_t t = state_.iteration;
  const bool images = !config_.data.is_toy();
  const bool first = t == 1;
  const bool last = t == config_.train.iterations;
  const bool at_log_point = last || is_multiple(t, config_.log.every);
  outputs_.add(t, last_, seconds);
  if (at_log_point || first) {
    outputs_.write_log_point(!first);
  }
  if (at_log_point && images) {
    outputs_.write_short_run(chains_.span(), state_.bank
                                                 ? state_.bank->states().first(chains_.size())
                                                 : std::span<const float>());
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

/// The energy on the grid, and fresh short-run chains as the training's own, for the KDE.
void Trainer::write_landscape() {
  std::int64_t chains = config_.landscape.kde.chains;
  if (state_.bank) {  // without replacement: as many as there are
    chains = std::min(chains, state_.bank->rows());
  }
  Buffer<float> states(static_cast<std::size_t>(2 * chains));
  draw_starts(config_.langevin.init, DataUse::landscape, states.span());
  sampler_.run(*energy_, stream(Purpose::landscape_langevin), 0, config_.langevin.steps,
               states.span());
  const std::vector<float>& grid = outputs_.grid_states();
  Buffer<float> f(grid.size() / 2);
  energy_->energies(grid, f.span());
  outputs_.write_landscape(f.span(), states.span());
}

/// Long chains show what the energy, and not the short run, has learned. The bank is left alone.
/// Returns false when it was stopped.
bool Trainer::run_long_chains() {
  constexpr int kBetweenStops = 20;  // steps; results do not depend on it
  at_work_ = state_.iteration;
  LongRun run{.states = Buffer<float>(chains_.size())};
  draw_starts(config_.longrun.init, DataUse::longrun, run.states.span());
  checkpoints_.load_long_run(state_, run);
  while (run.steps < config_.longrun.steps) {
    if (stop_()) {
      save_and_stop();
      checkpoints_.save_long_run(state_, run);
      return false;
    }
    const int steps = std::min(kBetweenStops, config_.longrun.steps - run.steps);
    sampler_.run(*energy_, stream(Purpose::longrun_langevin), static_cast<std::uint32_t>(run.steps),
                 steps, run.states.span());
    run.steps += steps;
    outputs_.show_long_run(run.steps);
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
  outputs_.write_log_point(false);
  outputs_.sync();
  if (state_.iteration > 0) {
    checkpoints_.save_between(state_);
  }
}

RandomStream Trainer::stream(Purpose purpose) const {
  return {seed_, purpose, static_cast<std::uint32_t>(at_work_)};
}

}  // namespace ebm
