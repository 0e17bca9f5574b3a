// Trains an energy-based model as a configuration says.

#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "host/apps/exit_status.h"
#include "host/apps/run_options.h"
#include "host/config/config.h"
#include "host/config/reference.h"
#include "host/output/plot_style.h"
#include "host/parse_number.h"
#include "host/training/compute_device.h"
#include "host/training/environment.h"
#include "host/training/interruption.h"
#include "host/training/origin.h"
#include "host/training/progress.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/trainer.h"
#include "host/training/training_check.h"

namespace {

using namespace ebm;

struct Options : RunOptions {
  std::filesystem::path config;
  std::filesystem::path out;
  std::filesystem::path resume;
  std::filesystem::path from;
  bool with_bank = false;
  bool check = false;
  std::pair<std::int64_t, std::int64_t> profile{0, 0};  ///< first and last iteration; 0: none
};

ComputeDevice device_for(const TrainConfig& config, const Options& options) {
  ComputeDevice device =
      choose_compute_device(config.device, config.precision, make_network(config.network));
  if (options.profile.first > 0 && !device.on_cuda) {
    throw ConfigurationError("--profile: is for CUDA devices, and this run is on the CPU" +
                             (device.why_cpu.empty() ? "" : ": " + device.why_cpu));
  }
  return device;
}

/// Reads "FIRST:LAST", iterations from 1.
std::pair<std::int64_t, std::int64_t> parse_iterations(const std::string& text) {
  const auto numbers = parse_numbers<std::int64_t>(text, ':');
  if (!numbers || numbers->size() != 2 || numbers->front() < 1 ||
      numbers->back() < numbers->front()) {
    throw CLI::ValidationError("--profile", "must be FIRST:LAST, iterations from 1, not " + text);
  }
  return {numbers->front(), numbers->back()};
}

/// What a run is begun with; it has the folder for itself.
struct Run {
  TrainConfig config;
  ComputeDevice device;
  RunFolder folder;
  std::optional<Origin> origin{};  ///< of a new run
};

std::filesystem::path new_folder(const TrainConfig& config, const Options& options) {
  return options.out.empty() ? std::filesystem::path("runs") / config.name : options.out;
}

std::optional<Origin> load_origin_of(const TrainConfig& config, const Options& options) {
  return options.from.empty() ? std::nullopt
                              : std::optional(load_origin(config, options.from, options.with_bank));
}

Run new_run(const Options& options) {
  const TrainConfig config = load_train_config(options.config, options.overrides);
  const ComputeDevice device = device_for(config, options);
  std::optional<Origin> origin = load_origin_of(config, options);
  return {config, device, RunFolder::create(new_folder(config, options)), std::move(origin)};
}

/// Everything that a new run does before its first iteration, and how long the whole will take.
int check(Options options) {
  apply_run_options(options);
  const TrainConfig config = load_train_config(options.config, options.overrides);
  const ComputeDevice device = device_for(config, options);
  load_origin_of(config, options);
  RunFolder::require_free(new_folder(config, options));
  RunLog log("/dev/null", options.quiet);
  log_start(log, config.name, device, "nothing is started");
  log.info(describe_time(measure_run(config, device, log), config));
  return 0;
}

Run stopped_run(const Options& options) {
  RunFolder folder = RunFolder::reopen(options.resume);
  const TrainConfig config = load_resumed_config(folder.config(), options.overrides);
  return {config, device_for(config, options), std::move(folder)};
}

int train(Options options, std::span<const char* const> command_line) {
  apply_run_options(options);
  const bool is_new = options.resume.empty();
  const auto [config, device, folder, origin] = is_new ? new_run(options) : stopped_run(options);
  FolderOfStart start(folder, is_new);
  if (origin) {  // before the configuration, without which the run cannot be resumed
    write_file_atomically(folder.origin(), to_json(*origin));
  }
  if (is_new) {
    write_file_atomically(folder.config(), to_yaml(config));
  }
  write_file_atomically(folder.new_environment(), describe_environment(command_line, device));
  if (options.style) {
    set_plot_style(folder.root(), *options.style);
  }
  RunLog log(folder.log(), options.quiet);
  log_start(log, config.name, device, "results in " + folder.root().string());
  if (!folder.is_locked()) {
    log.warn("the file system has no locks: nothing keeps another process from writing there too");
  }
  stop_on_signals();
  Trainer trainer(config, folder, log, seconds_since_signal, device);
  trainer.profile(options.profile.first, options.profile.second);
  if (origin) {
    trainer.start_from(*origin);
    log.info("starting from " + describe(*origin));
  } else if (!trainer.has_state() && std::filesystem::exists(folder.origin())) {
    throw InputFileError(fmt::format(
        "{}: was stopped before the weights that it was to start from were saved; remove it, and "
        "give the command again that is in its environment.json",
        folder.root().string()));
  }
  start.keep();
  if (!is_new) {
    write_file_atomically(folder.config(), to_yaml(config));
    log.info(fmt::format("going on after iteration {} of {}", grouped(trainer.iteration()),
                         grouped(config.train.iterations)));
  }
  try {
    if (!trainer.run()) {
      log.info(fmt::format("stopped by {} after iteration {}; to go on: ebm_train --resume {}",
                           stopping_signal(), grouped(trainer.iteration()),
                           folder.root().string()));
      return kStopped;
    }
  } catch (const std::exception& error) {
    log.failure(error.what());
    throw;
  }
  log.info(fmt::format("done: {}", folder.root().string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_train", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Maximum-likelihood learning of an energy-based model by MCMC.\n\n"
        "  ebm_train configs/quick/gmm_convergent.yaml\n"
        "  ebm_train configs/mnist_convergent.yaml --out runs/a --set train.iterations=500\n"
        "  ebm_train --resume runs/a --set train.iterations=1000\n"
        "  ebm_train runs/a/config.yaml --from runs/a --out runs/b --set seed=7\n",
        "ebm_train");
    app.set_version_flag("--version", version());
    auto* config =
        app.add_option("config", options.config, "The experiment (YAML, or the published JSON)")
            ->option_text("CONFIG.yaml");
    auto* out =
        app.add_option("--out", options.out, "Folder for the results, new or empty [runs/NAME]")
            ->option_text("DIR");
    auto* resume = app.add_option("--resume", options.resume,
                                  "Go on with a run that was stopped, from its folder")
                       ->option_text("DIR")
                       ->excludes(config)
                       ->excludes(out);
    auto* from = app.add_option("--from", options.from,
                                "Start with the weights of a run, its newest, or of a file")
                     ->option_text("RUN|FILE.safetensors")
                     ->excludes(resume);
    app.add_flag("--with-bank", options.with_bank, "and with its bank of persistent chains")
        ->option_text(" ")
        ->needs(from);
    app.add_flag("--check", options.check,
                 "Check all that a run reads, tell its memory and time, and exit");
    add_run_options(app, options);
    add_reference_option(app, training_reference);
    app.add_option_function<std::string>(
           "--profile",
           [&options](const std::string& text) { options.profile = parse_iterations(text); },
           "Turn Nsight's capture on for these iterations (tools/user/profile.sh)")
        ->option_text("FIRST:LAST");
    try {
      app.parse(argc, argv);
      if (config->empty() && resume->empty()) {
        throw CLI::RequiredError("CONFIG.yaml or --resume DIR");
      }
      if (options.check && !resume->empty()) {
        throw CLI::ExcludesError("--check", "--resume");
      }
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    if (options.check) {
      return check(options);
    }
    return train(options, std::span<const char* const>(argv, static_cast<std::size_t>(argc)));
  });
}
