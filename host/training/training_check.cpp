#include "host/training/training_check.h"

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "cuda/diagnostics/density.h"
#include "host/data/make_batches.h"
#include "host/training/diagnostic_chains.h"
#include "host/training/progress.h"
#include "host/training/schedule.h"
#include "host/training/trainer.h"
#include "host/training/training_state.h"

namespace ebm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kEnough = 1;   // seconds to measure
constexpr double kTooLong = 5;  // for an iteration to be waited for

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// 0.0125 -> "12.5 ms", 2.9 -> "2.9 s".
std::string short_time(double seconds) {
  return seconds < 1 ? fmt::format("{:.3g} ms", 1000 * seconds) : fmt::format("{:.3g} s", seconds);
}

/// Iterations after a first one, which makes what all others use. None where the first takes too
/// long.
RunMeasurement measure_iterations(Learner& learner, double optimizer_rate) {
  Iteration iteration{.optimizer_rate = optimizer_rate};
  Clock::time_point start = Clock::now();
  const auto next = [&] {
    ++iteration.number;
    return learner.iterate(iteration, [&] { return seconds_since(start) > kTooLong; });
  };
  if (!next()) {
    learner.results(true);
    return {};
  }
  learner.results(true);
  start = Clock::now();
  bool goes_on = true;
  while (goes_on && seconds_since(start) < kEnough) {
    if (!next()) {
      --iteration.number;
      break;
    }
    for (const IterationResult& result : learner.results(false)) {
      goes_on = goes_on && result.fault == Fault::none;
    }
  }
  learner.results(true);
  return {.iterations = iteration.number - 1, .seconds = seconds_since(start)};
}

}  // namespace

RunMeasurement measure_run(const TrainConfig& config, const ComputeDevice& device, RunLog& log) {
  const ImageDataset images = load_training_images(config, device, log);
  const Network network = make_network(config.network);
  const std::size_t learning = learning_bytes(config, network, images.count, device);
  log.info(describe_memory(device, network, config.train.batch_size, learning));
  const std::unique_ptr<Energy> energy =
      make_energy(device, network, config.train.batch_size, learning);
  TrainingState state = initial_state(config, network, images.count);
  const std::unique_ptr<DataBatches> data =
      make_batches(energy->queue(), config.seed, config.data, images);
  Learner learner(*energy, network.parameter_count(), learner_settings(config), *data);
  learner.begin(state.learned, config.seed);

  RunMeasurement measured = measure_iterations(learner, 0);
  TrainConfig long_run = config;
  long_run.longrun = {.every = 1, .steps = std::numeric_limits<int>::max()};
  DiagnosticChains chains(long_run, std::ssize(state.learned.bank) / network.input().size(),
                          *energy, learner);
  if (measured.iterations == 0) {
    LongRun run{.states = Buffer<float>(
                    static_cast<std::size_t>(config.train.batch_size * network.input().size()))};
    const Clock::time_point start = Clock::now();
    const auto stop = [start]() -> std::optional<double> {
      const double seconds = seconds_since(start);
      return seconds < kEnough ? std::nullopt : std::optional(seconds);
    };
    chains.finish(run, 1, stop, [](auto, auto) {});
    measured = {.steps = run.steps, .seconds = seconds_since(start)};
  }
  if (landscapes_from(1, config) > 0) {
    const Clock::time_point start = Clock::now();
    const std::vector<float> axis =
        grid_axis(toy_density(config.data).half_width(), config.landscape.resolution);
    chains.energies(grid_states(axis));
    chains.short_run_density(1, axis);
    measured.landscape = seconds_since(start);
  }
  return measured;
}

std::string describe_time(const RunMeasurement& measured, const TrainConfig& config) {
  const int steps = config.langevin.steps;
  const double iteration = measured.iterations > 0
                               ? measured.seconds / static_cast<double>(measured.iterations)
                               : measured.seconds / static_cast<double>(measured.steps) * steps;
  const std::int64_t long_runs = config.data.is_toy() ? 0 : long_runs_from(1, config);
  const std::int64_t drawn = landscapes_from(1, config);
  const std::int64_t landscapes = drawn > 0 ? drawn + 1 : 0;  // and that of the first iteration
  const double long_run = iteration / steps * config.longrun.steps;
  const double all = iteration * static_cast<double>(config.train.iterations) +
                     measured.landscape * static_cast<double>(landscapes) +
                     long_run * static_cast<double>(long_runs);
  std::string text = fmt::format("time: about {}, for {} iterations of {}", duration(all),
                                 grouped(config.train.iterations), short_time(iteration));
  if (landscapes > 0) {
    text += fmt::format(" and {} landscapes of {}", grouped(landscapes),
                        short_time(measured.landscape));
  }
  if (long_runs > 0) {
    text += fmt::format(" and {} long runs of {}", grouped(long_runs), duration(long_run));
  }
  return text + (measured.iterations > 0
                     ? fmt::format("; measured just now: {} iterations in {:.1f} s",
                                   grouped(measured.iterations), measured.seconds)
                     : fmt::format("; measured just now: {} Langevin steps in {:.1f} s, and an "
                                   "iteration has {}",
                                   grouped(measured.steps), measured.seconds, grouped(steps)));
}

}  // namespace ebm
