#include "host/sampling/sampling_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cuda/base/ceil_div.h"
#include "cuda/base/errors.h"
#include "cuda/diagnostics/mixing.h"
#include "cuda/nn/host_states.h"
#include "host/files/npy.h"
#include "host/output/png_grid.h"
#include "host/sampling/starting_states.h"

namespace ebm {
namespace {

/// Between two looks at the records, so that what is not finite is reported at once.
constexpr std::int64_t kStepsAtOnce = RecordedSampler::kStepsAtOnce;

/// Throws unless the disk has room for the steps to come.
void require_room(const RunFolder& folder, const SampleSection& sample, std::int64_t done) {
  if (done > sample.steps) {
    throw ConfigurationError(
        fmt::format("sample.steps: {} is less than the {} that the chains of {} "
                    "have taken already",
                    sample.steps, done, folder.root().string()));
  }
  const auto needed = static_cast<std::uintmax_t>(sample.steps - done) *
                      static_cast<std::uintmax_t>(sample.chains) * 2 * sizeof(float);
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder.root(), error);
  if (!error && space.available < needed) {
    constexpr std::uintmax_t kMiB = 1 << 20;
    throw OutputError(
        fmt::format("{}: energy.npy and gradient.npy of {} steps of {} chains take {} MiB, and {} "
                    "MiB are free; choose another folder with --out DIR, or fewer steps or chains",
                    folder.root().string(), sample.steps, sample.chains, needed / kMiB,
                    space.available / kMiB));
  }
}

SamplingState state_in(const RunFolder& folder, const SampleConfig& config, const Shape& shape) {
  SamplingState state;
  std::error_code none;
  if (std::filesystem::exists(folder.sampling_state(), none)) {
    state = load_sampling_state(folder.sampling_state(), config.sample.chains, shape.size());
  }
  require_room(folder, config.sample, state.chains.steps);
  if (state.last_is_of_end && state.chains.steps < config.sample.steps) {
    --state.snapshots;
    state.last_is_of_end = false;
  }
  return state;
}

std::string text(const Clamp& clamp) {
  return clamp ? fmt::format("[{}, {}]", clamp->first, clamp->second) : "null";
}

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::unique_ptr<Energy> make_energy_of(const Network& network, const SampleSection& sample,
                                       const ComputeDevice& device, RunLog& log) {
  const std::size_t sampler =
      recorded_sampler_bytes(sample.mala, sample.chains, network.input().size());
  log.info(describe_memory(device, network, sample.chains, sampler));
  return make_energy(device, network, sample.chains, sampler);
}

}  // namespace

Checkpoint load_saved_network(const SampleConfig& config, const std::filesystem::path& file) {
  Checkpoint checkpoint = load_checkpoint(file, choice_of(config.network));
  const double trained = checkpoint.info.epsilon;
  if (trained > 0 && trained != config.sample.train_epsilon) {
    throw ConfigurationError(
        fmt::format("sample.train_epsilon is {}, but {} was trained with {}; "
                    "sample.temperature_factor changes the temperature",
                    config.sample.train_epsilon, config.sample.checkpoint, trained));
  }
  return checkpoint;
}

SamplingRun::SamplingRun(const SampleConfig& config, const Checkpoint& checkpoint,
                         const RunFolder& folder, RunLog& log, StopRequest stop,
                         const ComputeDevice& device)
    : config_(config),
      folder_(folder),
      log_(log),
      stop_(std::move(stop)),
      shape_(checkpoint.network.input()),
      resumed_(state_in(folder, config, shape_)),
      energy_(make_energy_of(checkpoint.network, config.sample, device, log)),
      plots_([&log](const std::string& reason) { log.warn(reason); }),
      energies_(folder.root() / "energy.npy", {config.sample.chains}, resumed_.chains.steps),
      gradient_norms_(folder.root() / "gradient.npy", {config.sample.chains},
                      resumed_.chains.steps),
      summary_(folder.root(), config.name, config.sample.steps, config.sample.mala, plots_),
      acceptance_watch_(config.sample.epsilon),
      most_at_once_(energy_->queue().on_cpu() ? 1 : kStepsAtOnce),
      pace_(config.sample.steps, 1, resumed_.chains.steps),
      start_(std::chrono::steady_clock::now()) {
  if (config.sample.mala) {
    acceptance_.emplace(folder.root() / "acceptance.npy", std::vector<std::int64_t>{},
                        resumed_.chains.steps);
  }
  if (shape_.height == 1 && shape_.width == 1) {
    toy_states_.emplace(folder.root() / "states.npy",
                        std::vector<std::int64_t>{config.sample.chains, shape_.size()},
                        resumed_.snapshots);
  }
  const CheckpointInfo& info = checkpoint.info;
  const Clamp clamp = config.sample.clamp.trained ? info.clamp : config.sample.clamp.other;
  if (info.steps > 0 && clamp != info.clamp) {
    log_.warn(fmt::format(
        "sample.clamp is {}, but {} was trained with {}: what these chains show is another law",
        text(clamp), config.sample.checkpoint, text(info.clamp)));
  }
  log_.info(fmt::format("{}: network {}, iteration {}; U = f/{:.4g}{}", config.sample.checkpoint,
                        checkpoint.network.name(), info.iteration, config.sample.temperature(),
                        clamp ? ", states in " + text(clamp) : ""));
  HostStates(*energy_).set_parameters(checkpoint.parameters.span());
  sampler_.emplace(
      *energy_,
      RecordedSampler::Settings{.mala = config.sample.mala,
                                .epsilon = static_cast<float>(config.sample.epsilon),
                                .temperature = static_cast<float>(config.sample.temperature()),
                                .seed = config.seed,
                                .clamp = clamp},
      config.sample.chains);
  if (resumed_.chains.steps == 0) {
    begin();
  } else {
    sampler_->go_on_with(resumed_.chains);
    resumed_ = {};
    summary_.add_recorded(energies_, gradient_norms_, acceptance_ ? &*acceptance_ : nullptr,
                          config.sample.chains);
    summary_.draw(steps() == config.sample.steps);
  }
}

void SamplingRun::begin() {
  draw_starting_states(config_, shape_, energy_->queue(), log_, sampler_->states());
  write_states(folder_.root() / "states_first.npy");
  if (toy_states_) {
    toy_states_->append(sampler_->read_states());
  } else {
    write_grid(folder_.root() / "x_first.png");
  }
}

bool SamplingRun::run() {
  start_ = std::chrono::steady_clock::now();
  while (steps() < config_.sample.steps) {
    if (stop_()) {
      save();
      return false;
    }
    const std::int64_t to_log_point = config_.log.every - steps() % config_.log.every;
    take_steps(std::min({most_at_once_, to_log_point, config_.sample.steps - steps()}));
    report();
  }
  return true;
}

/// Takes fewer or more at once from then on, so that a signal is heard within about a second.
void SamplingRun::take_steps(std::int64_t steps) {
  constexpr std::chrono::duration<double> kShort(0.2);
  const auto begin = std::chrono::steady_clock::now();
  sampler_->run(static_cast<int>(steps));
  const auto taken = std::chrono::steady_clock::now() - begin;
  if (taken > 4 * kShort) {
    most_at_once_ = std::max<std::int64_t>(1, steps / 2);
  } else if (taken < kShort) {
    most_at_once_ = std::min(2 * most_at_once_, kStepsAtOnce);
  }
  require_finite();
  record(steps);
}

/// A run stopped before its first step starts over.
void SamplingRun::save() {
  if (steps() == 0) {
    return;
  }
  energies_.sync();
  gradient_norms_.sync();
  if (acceptance_) {
    acceptance_->sync();
  }
  if (toy_states_) {
    toy_states_->sync();
  }
  save_state(folder_.sampling_state(),
             {.chains = sampler_->read_chains(),
              .snapshots = toy_states_ ? toy_states_->rows() : 0,
              .last_is_of_end = toy_states_ && steps() == config_.sample.steps &&
                                steps() % config_.log.every != 0});
}

void SamplingRun::record(std::int64_t steps) {
  const auto chains = static_cast<std::size_t>(config_.sample.chains);
  const auto values = static_cast<std::size_t>(steps) * chains;
  energies_.append(sampler_->energies().first(values));
  gradient_norms_.append(sampler_->gradient_norms().first(values));
  for (std::size_t at = 0; at < values; at += chains) {
    const auto energies = sampler_->energies().subspan(at, chains);
    const auto norms = sampler_->gradient_norms().subspan(at, chains);
    float acceptance = 0;
    if (acceptance_) {
      acceptance = static_cast<float>(mean(sampler_->accepted().subspan(at, chains)));
      acceptance_->append({&acceptance, 1});
      if (const auto advice = acceptance_watch_.add(static_cast<double>(acceptance))) {
        log_.warn(*advice);
      }
    }
    summary_.add(energies, norms, acceptance);
    line_sums_[0] += mean(energies);
    line_sums_[1] += mean(norms);
    line_sums_[2] += static_cast<double>(acceptance);
    ++in_line_;
  }
}

/// A step's records are those of the state before it; after the last there is only the state.
void SamplingRun::require_finite() {
  const std::span<const float> energies = sampler_->energies();
  const std::span<const float> norms = sampler_->gradient_norms();
  const auto diverged = [](std::int64_t step, std::size_t chain, const std::string& how) {
    throw Divergence(fmt::format(
        "sampling diverged at step {}: chain {} has {}; a smaller sample.epsilon or sample.mala: "
        "true usually helps",
        grouped(step), chain, how));
  };
  const auto chains = static_cast<std::size_t>(config_.sample.chains);
  const std::int64_t steps = std::ssize(energies) / config_.sample.chains;
  for (std::size_t i = 0; i < energies.size(); ++i) {
    if (!std::isfinite(energies[i]) || !std::isfinite(norms[i])) {
      const auto step = static_cast<std::int64_t>(i / chains);
      record(step);
      summary_.draw(true);
      diverged(sampler_->steps() - steps + step, i % chains,
               fmt::format("energy {} and gradient magnitude {}", energies[i], norms[i]));
    }
  }
  const std::span<const float> states = sampler_->read_states();
  const auto found =
      std::ranges::find_if(states, [](float x) { return !std::isfinite(x); }) - states.begin();
  if (found != std::ssize(states)) {
    record(steps);
    summary_.draw(true);
    diverged(sampler_->steps(), static_cast<std::size_t>(found / shape_.size()),
             fmt::format("a component {}", states[static_cast<std::size_t>(found)]));
  }
}

/// Whatever is due after some steps.
void SamplingRun::report() {
  const std::int64_t steps = sampler_->steps();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  pace_.add(steps, elapsed.count());
  const bool last = steps == config_.sample.steps;
  if (!last && steps % config_.log.every != 0) {
    if (log_.is_live() && pace_.due()) {
      log_.live(line(elapsed.count(), false));
    }
    return;
  }
  std::string outside;
  if (toy_states_) {
    toy_states_->append(sampler_->read_states());
  } else {
    const double share = static_cast<double>(write_grid(folder_.sampled_states(steps))) /
                         static_cast<double>(config_.sample.chains * shape_.size());
    outside = fmt::format("  outside [-1, 1] {:.2f}%", 100 * share);
  }
  log_.info(line(elapsed.count(), true) + outside);
  summary_.draw(last);
  if (last) {
    write_states(folder_.root() / "states_last.npy");
    if (!toy_states_) {
      write_grid(folder_.root() / "x_last.png");
    }
    log_.info(describe_mixing());
  }
  save();
}

/// Of U, over the second half of the steps: the first half may remember where the chains started.
std::string SamplingRun::describe_mixing() const {
  constexpr std::int64_t kMostDraws = 1000;  // of a chain: then a second's work for 1,000 chains
  constexpr double kAgreement = 1.01;        // what Vehtari et al. ask of R-hat
  constexpr double kEnough = 400;            // and of the effective sizes
  const auto chains = static_cast<std::size_t>(config_.sample.chains);
  const std::int64_t first = steps() / 2;
  const std::int64_t stride = ceil_div(steps() - first, kMostDraws);
  std::vector<float> draws;
  for (std::int64_t row = first; row < steps(); row += stride) {
    draws.resize(draws.size() + chains);
    energies_.read(row, std::span(draws).last(chains));
  }
  const Mixing found = mixing(draws, config_.sample.chains);
  const bool mixed =
      found.rhat <= kAgreement && std::min(found.ess_bulk, found.ess_tail) >= kEnough;
  return fmt::format(
      "mixing of U in the second half: R-hat {:.3f}, effective sizes {:.0f} (bulk) and {:.0f} "
      "(tails) of {} draws; {}",
      found.rhat, found.ess_bulk, found.ess_tail, grouped(std::ssize(draws)),
      mixed ? "U does not tell the chains apart"
            : fmt::format("mixed chains have at most {} and at least {:.0f}", kAgreement, kEnough));
}

/// Means over the chains and the steps since the last line with `mark`.
std::string SamplingRun::line(double elapsed, bool mark) {
  const auto since = [this](std::size_t sum) {
    return line_sums_[sum] / static_cast<double>(std::max<std::int64_t>(in_line_, 1));
  };
  std::string line = fmt::format(
      "step {}/{}  energy {:.5g}  gradient {:.4g}{}  {}", grouped(steps()),
      grouped(config_.sample.steps), since(0), since(1),
      acceptance_ ? fmt::format("  acceptance {:.3f}", since(2)) : "", pace_.text(elapsed, mark));
  if (mark) {
    line_sums_ = {};
    in_line_ = 0;
  }
  return line;
}

void SamplingRun::write_states(const std::filesystem::path& path) {
  const std::array<std::int64_t, 4> shape{config_.sample.chains, shape_.channels, shape_.height,
                                          shape_.width};
  write_npy(path, shape, sampler_->read_states());
}

std::size_t SamplingRun::write_grid(const std::filesystem::path& path) {
  return write_png_grid(path, sampler_->read_states(), config_.sample.chains, shape_.channels,
                        shape_.height, shape_.width);
}

}  // namespace ebm
