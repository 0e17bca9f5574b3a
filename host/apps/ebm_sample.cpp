// Runs long chains from a saved network as a configuration says.

#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "host/apps/exit_status.h"
#include "host/apps/run_options.h"
#include "host/config/config.h"
#include "host/config/reference.h"
#include "host/output/plot_style.h"
#include "host/sampling/sampling_config.h"
#include "host/sampling/sampling_run.h"
#include "host/training/compute_device.h"
#include "host/training/environment.h"
#include "host/training/interruption.h"
#include "host/training/progress.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

namespace {

using namespace ebm;

struct Options : RunOptions {
  std::filesystem::path config;
  std::filesystem::path out;
  std::filesystem::path resume;
};

/// What a run is begun with; it has the folder for itself.
struct Run {
  SampleConfig config;
  Checkpoint checkpoint;
  ComputeDevice device;
  RunFolder folder;
};

Run new_run(const Options& options) {
  const SampleConfig config = load_sampling(options.config, options.overrides);
  Checkpoint checkpoint = load_saved_network(config, config.sample.checkpoint);
  const ComputeDevice device =
      choose_compute_device(config.device, config.precision, checkpoint.network);
  return {
      config, std::move(checkpoint), device,
      RunFolder::create(options.out.empty() ? std::filesystem::path("runs/sampling") / config.name
                                            : options.out)};
}

Run stopped_run(const Options& options) {
  RunFolder folder = RunFolder::reopen(options.resume);
  if (!std::filesystem::exists(folder.sampled_network())) {
    throw ConfigurationError(
        fmt::format("--resume {}: is not a sampling run that can go on: it has no {}",
                    options.resume.string(), folder.sampled_network().filename().string()));
  }
  const SampleConfig config = load_resumed_sample_config(folder.config(), options.overrides);
  Checkpoint checkpoint = load_saved_network(config, folder.sampled_network());
  const ComputeDevice device =
      choose_compute_device(config.device, config.precision, checkpoint.network);
  return {config, std::move(checkpoint), device, std::move(folder)};
}

/// The run is named after the folder that it is given, so that its plots are not titled after a
/// configuration that many are made from.
void name_after_folder(Options& options) {
  const auto is_name = [](const std::string& text) { return text.starts_with("name="); };
  if (options.out.empty() || std::ranges::any_of(options.overrides, is_name)) {
    return;
  }
  std::string name = "name='";
  for (const char c : (std::filesystem::absolute(options.out) / "")
                          .lexically_normal()
                          .parent_path()
                          .filename()
                          .string()) {
    name += c == '\'' ? "''" : std::string(1, c);
  }
  options.overrides.insert(options.overrides.begin(), name + "'");
}

int sample(Options options, std::span<const char* const> command_line) {
  apply_run_options(options);
  name_after_folder(options);
  const bool is_new = options.resume.empty();
  const auto [config, checkpoint, device, folder] =
      is_new ? new_run(options) : stopped_run(options);
  FolderOfStart start(folder, is_new);
  if (is_new) {  // a training run may replace the original
    save_checkpoint(folder.sampled_network(), checkpoint.info, checkpoint.network,
                    checkpoint.parameters.span());
    write_file_atomically(folder.config(), to_yaml(config));
  }
  write_file_atomically(folder.new_environment(), describe_environment(command_line, device));
  if (options.style) {
    set_plot_style(folder.root(), *options.style);
  }
  RunLog log(folder.log(), options.quiet);
  log_start(log, config.name, device, "results in " + folder.root().string());
  stop_on_signals();
  SamplingRun run(config, checkpoint, folder, log, seconds_since_signal, device);
  start.keep();
  if (!is_new) {
    write_file_atomically(folder.config(), to_yaml(config));
    log.info(fmt::format("going on after step {} of {}", grouped(run.steps()),
                         grouped(config.sample.steps)));
  }
  if (!run.run()) {
    log.info(fmt::format("stopped by {} after step {}; to go on: ebm_sample --resume {}",
                         stopping_signal(), grouped(run.steps()), folder.root().string()));
    return kStopped;
  }
  log.info(fmt::format("done: {}", folder.root().string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_sample", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Long chains from a saved network, by Langevin dynamics or MALA.\n\n"
        "  ebm_sample runs/a --set sample.steps=5000\n"
        "  ebm_sample configs/sampling/flowers_convergent_mh.yaml --out runs/b "
        "--set sample.steps=5000\n"
        "  ebm_sample --resume runs/b\n",
        "ebm_sample");
    app.set_version_flag("--version", version());
    auto* config =
        app.add_option("what", options.config,
                       "A run, a network, or a configuration (YAML, or the published JSON)")
            ->option_text("RUN|NET.safetensors|CONFIG.yaml");
    auto* out = app.add_option("--out", options.out,
                               "Folder for the results, new or empty [runs/sampling/NAME]")
                    ->option_text("DIR");
    auto* resume = app.add_option("--resume", options.resume,
                                  "Go on with a run that was stopped, from its folder")
                       ->option_text("DIR")
                       ->excludes(config)
                       ->excludes(out);
    add_run_options(app, options);
    add_reference_option(app, sampling_reference);
    try {
      app.parse(argc, argv);
      if (config->empty() && resume->empty()) {
        throw CLI::RequiredError("RUN, NET.safetensors, CONFIG.yaml or --resume DIR");
      }
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return sample(options, std::span<const char* const>(argv, static_cast<std::size_t>(argc)));
  });
}
