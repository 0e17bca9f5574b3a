#include "host/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cuda/kernels/random_states.cuh"
#include "host/data/load_images.h"
#include "host/errors.h"
#include "host/output/diagnosis.h"
#include "host/output/diagnostics_csv.h"
#include "host/output/png_grid.h"
#include "host/training/checkpoint.h"

namespace ebm {
namespace {

Optimizer::Kind optimizer_kind(OptimizerKind kind) {
  return kind == OptimizerKind::sgd ? Optimizer::Kind::sgd : Optimizer::Kind::adam;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

bool is_multiple(std::int64_t iteration, int every) { return every > 0 && iteration % every == 0; }

}  // namespace

Trainer::Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log)
    : config_(config),
      folder_(folder),
      log_(log),
      network_(make_network(trained_network(config))),
      energy_(make_cpu_energy(network_)),
      theta_(initial_parameters(network_, config.seed)),
      gradient_(theta_.size()),
      batch_(static_cast<std::size_t>(config.train.batch_size * network_.input().size())),
      chains_(batch_.size()),
      sampler_(static_cast<float>(config.langevin.epsilon)),
      energy_difference_(static_cast<float>(config.langevin.epsilon)),
      optimizer_(optimizer_kind(config.optimizer.kind), network_.parameter_count()),
      learning_rate_(config.optimizer.lr),
      diagnostics_(folder.diagnostics(), kDiagnosticsHeader),
      progress_(config.train.iterations, config.langevin.steps),
      plots_([&log](const std::string& reason) { log.warn(reason); }) {
  load_data();
  if (config.langevin.clamp) {
    sampler_.clamp_to(static_cast<float>(config.langevin.clamp->first),
                      static_cast<float>(config.langevin.clamp->second));
  }
  if (config.langevin.init == InitialStates::persistent) {
    bank_.emplace(config.seed, config.data.is_toy() ? config.langevin.bank_size : images_.count,
                  network_.input().size());
  }
  energy_->set_parameters(theta_.span());
}

void Trainer::load_data() {
  const DataConfig& data = config_.data;
  if (!data.is_toy()) {
    images_ = load_images(data, [this](std::size_t done, std::size_t total) {
      if (log_.is_live() && progress_.due()) {
        log_.live(fmt::format("preparing images: {} of {}", done, total));
      }
    });
    log_.info(fmt::format("{} images of {}x{}x{} from {}", images_.count, images_.channels,
                          images_.height, images_.width, data.path));
    if (config_.train.batch_size > images_.count) {
      throw ConfigurationError(fmt::format(
          "train.batch_size: {} is more than the {} images of {}; a batch is distinct images",
          config_.train.batch_size, images_.count, data.path));
    }
    data_ = std::make_unique<ImageBatches>(config_.seed, images_.images, network_.input().size(),
                                           static_cast<float>(data.noise));
    return;
  }
  const bool rings = data.kind == DataKind::rings;
  data_ = std::make_unique<ToyBatches>(config_.seed,
                                       ToyDraw{.rings = rings,
                                               .groups = data.groups,
                                               .sd = static_cast<float>(data.sd),
                                               .radius = static_cast<float>(data.radius)});
  if (config_.landscape.every > 0) {
    const ToyDensity truth{.kind = rings ? ToyDensity::Kind::rings : ToyDensity::Kind::gmm,
                           .groups = data.groups,
                           .sd = data.sd,
                           .radius = data.radius};
    landscape_.emplace(folder_.landscape(),
                       LandscapeSettings{.truth = truth,
                                         .resolution = config_.landscape.resolution,
                                         .epsilon = config_.langevin.epsilon,
                                         .bandwidth = config_.landscape.kde.bandwidth},
                       plots_);
    const int chains = config_.landscape.kde.chains;
    if (config_.langevin.init == InitialStates::persistent && chains > config_.langevin.bank_size) {
      log_.warn(fmt::format("landscape.kde.chains: {}, but the bank has {} rows; those are used",
                            chains, config_.langevin.bank_size));
    }
  }
}

void Trainer::run() {
  start_ = std::chrono::steady_clock::now();
  try {
    run_iterations();
  } catch (...) {
    try {
      flush_diagnostics();
    } catch (const OutputError&) {  // what is thrown already says more
    }
    throw;
  }
}

void Trainer::run_iterations() {
  for (iteration_ = 1; iteration_ <= config_.train.iterations; ++iteration_) {
    const auto begin = std::chrono::steady_clock::now();
    const auto t = static_cast<std::uint32_t>(iteration_);

    data_->draw(DataUse::batch, t, batch_.span());
    draw_starts(config_.langevin.init, DataUse::initial_states, chains_.span());
    const double r_s = sampler_.run(*energy_, stream(Purpose::langevin), 0, config_.langevin.steps,
                                    chains_.span());
    if (bank_) {
      bank_->put(chains_.span());
    }
    const double d_s =
        energy_difference_(*energy_, batch_.span(), chains_.span(), gradient_.span());
    optimizer_.step(effective_rate(), gradient_.span(), theta_.span());
    energy_->set_parameters(theta_.span());

    busy_seconds_ += seconds_since(begin);
    record(d_s, r_s);
    learning_rate_ =
        std::max(config_.optimizer.lr_min, learning_rate_ * config_.optimizer.lr_decay);
    report();
  }
}

/// Fills chains' starting states. Only the training's own (initial_states) take rows out of the
/// bank to be put back.
void Trainer::draw_starts(InitialStates init, DataUse use, std::span<float> states) {
  const auto t = static_cast<std::uint32_t>(iteration_);
  const std::int64_t size = network_.input().size();
  const std::int64_t chains = std::ssize(states) / size;
  const auto factor = static_cast<float>(config_.langevin.noise_init_factor);
  const Purpose noise = use == DataUse::longrun     ? Purpose::longrun_states
                        : use == DataUse::landscape ? Purpose::landscape_states
                                                    : Purpose::initial_states;
  switch (init) {
    case InitialStates::persistent:
      if (use == DataUse::initial_states) {
        bank_->draw(t, states);
      } else {
        bank_->peek(rows_purpose(use), t, states);
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

/// SGD's rate is scaled by ε²/2, so that tuning does not depend on ε.
double Trainer::effective_rate() const {
  const double epsilon = config_.langevin.epsilon;
  const bool scaled = config_.optimizer.kind == OptimizerKind::sgd && epsilon > 0;
  return scaled ? learning_rate_ * epsilon * epsilon / 2 : learning_rate_;
}

void Trainer::record(double d_s, double r_s) {
  last_ = {iteration_, d_s, r_s, learning_rate_, seconds_since(start_), busy_seconds_};
  unwritten_.push_back(last_);
  d_s_.push_back(d_s);
  r_s_.push_back(r_s);
  if (!std::isfinite(d_s) || !std::isfinite(r_s)) {
    const auto shown = [](double x) { return std::isnan(x) ? "nan" : fmt::format("{}", x); };
    diverged(fmt::format("d_s = {}, r_s = {}", shown(d_s), shown(r_s)));
  }
}

/// Nothing is written of a network that is no longer one.
void Trainer::require_finite_parameters() const {
  if (!std::ranges::all_of(theta_.span(), [](float value) { return std::isfinite(value); })) {
    diverged("the update made weights that are not finite");
  }
}

void Trainer::diverged(const std::string& what) const {
  throw Divergence(
      fmt::format("training diverged at iteration {}: {}; a smaller optimizer.lr{} "
                  "usually helps",
                  iteration_, what, config_.data.is_toy() ? "" : " or more data.noise"));
}

/// Whatever is due after an iteration.
void Trainer::report() {
  const bool first = iteration_ == 1;
  const bool last = iteration_ == config_.train.iterations;
  const bool at_log_point = last || is_multiple(iteration_, config_.log.every);
  if (at_log_point || first || is_multiple(iteration_, config_.checkpoint.every)) {
    require_finite_parameters();
  }
  if (at_log_point || first) {
    flush_diagnostics();
    log_.info(progress_.line(last_, true));
  } else if (log_.is_live() && progress_.due()) {
    log_.live(progress_.line(last_, false));
  }
  if (at_log_point && !first) {
    plots_.draw(write_diagnosis(folder_.root(), d_s_, r_s_));
  }
  if (at_log_point && !config_.data.is_toy()) {
    write_grids();
  }
  if (landscape_ && (first || last || is_multiple(iteration_, config_.landscape.every))) {
    write_landscape();
  }
  if (last || is_multiple(iteration_, config_.checkpoint.every)) {
    write_checkpoint();
  }
  if (!config_.data.is_toy() && is_multiple(iteration_, config_.longrun.every)) {
    run_long_chains();
  }
}

void Trainer::flush_diagnostics() {
  std::string lines;
  for (const IterationRecord& r : unwritten_) {
    lines += fmt::format("{},{:.9g},{:.9g},{:.9g},{:.3f}\n", r.iteration, r.d_s, r.r_s,
                         r.learning_rate, r.seconds);
  }
  diagnostics_.append(lines);
  unwritten_.clear();
}

void Trainer::write_checkpoint() {
  const std::filesystem::path path = folder_.checkpoint(iteration_);
  save_checkpoint(path,
                  {.network = std::string(to_string(config_.network.kind)),
                   .channels = network_.input().channels,
                   .features = config_.network.features,
                   .epsilon = config_.langevin.epsilon,
                   .iteration = iteration_},
                  network_, theta_.span());
  checkpoints_.push_back(path);
  if (std::ssize(checkpoints_) > config_.checkpoint.keep) {
    std::error_code ignored;  // an old checkpoint that stays does no harm
    std::filesystem::remove(checkpoints_.front(), ignored);
    checkpoints_.erase(checkpoints_.begin());
  }
}

void Trainer::write_grids() {
  write_grid(folder_.short_run(iteration_), chains_.span());
  if (bank_) {
    write_grid(folder_.bank(iteration_), bank_->states().first(chains_.size()));
  }
}

void Trainer::write_grid(const std::filesystem::path& path, std::span<const float> states) const {
  const Shape& shape = network_.input();
  write_png_grid(path, states, static_cast<int>(std::ssize(states) / shape.size()), shape.channels,
                 shape.height, shape.width);
}

/// The energy on the grid, and fresh short-run chains as the training's own, for the KDE.
void Trainer::write_landscape() {
  std::int64_t chains = config_.landscape.kde.chains;
  if (bank_) {  // without replacement: as many as there are
    chains = std::min(chains, bank_->rows());
  }
  Buffer<float> states(static_cast<std::size_t>(2 * chains));
  draw_starts(config_.langevin.init, DataUse::landscape, states.span());
  sampler_.run(*energy_, stream(Purpose::landscape_langevin), 0, config_.langevin.steps,
               states.span());
  const std::vector<float>& grid = landscape_->grid_states();
  Buffer<float> f(grid.size() / 2);
  energy_->energies(grid, f.span());
  const LandscapeSummary summary = landscape_->write(iteration_, f.span(), states.span());
  log_.info(
      fmt::format("landscape {}: KL(truth || learned) {:.3f} nats, L1 distance from the truth "
                  "{:.3f} learned, {:.3f} short-run",
                  iteration_, summary.kl_learned, summary.l1_learned, summary.l1_shortrun));
}

/// Long chains show what the energy, and not the short run, has learned. The bank is left alone.
void Trainer::run_long_chains() {
  flush_diagnostics();  // this may take hours
  Buffer<float> states(chains_.size());
  draw_starts(config_.longrun.init, DataUse::longrun, states.span());
  constexpr int kBetweenReports = 50;
  for (int done = 0; done < config_.longrun.steps; done += kBetweenReports) {
    const int steps = std::min(kBetweenReports, config_.longrun.steps - done);
    sampler_.run(*energy_, stream(Purpose::longrun_langevin), static_cast<std::uint32_t>(done),
                 steps, states.span());
    if (log_.is_live() && progress_.due()) {
      log_.live(fmt::format("iteration {}: long-run chains, step {} of {}", iteration_,
                            done + steps, config_.longrun.steps));
    }
  }
  write_grid(folder_.long_run(iteration_), states.span());
  log_.info(
      fmt::format("long-run chains of iteration {}: {} steps", iteration_, config_.longrun.steps));
}

RandomStream Trainer::stream(Purpose purpose) const {
  return {config_.seed, purpose, static_cast<std::uint32_t>(iteration_)};
}

}  // namespace ebm
