// Runs long chains from a saved network as a configuration says.

#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>

#include "cuda/base/atomic_file.h"
#include "host/apps/exit_status.h"
#include "host/apps/run_options.h"
#include "host/config/config.h"
#include "host/config/reference.h"
#include "host/output/plot_style.h"
#include "host/sampling/sampling_run.h"
#include "host/training/compute_device.h"
#include "host/training/environment.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

namespace {

using namespace ebm;

struct Options : RunOptions {
  std::filesystem::path config;
  std::filesystem::path out;
};

int sample(Options options, std::span<const char* const> command_line) {
  apply_run_options(options);
  const SampleConfig config = load_sample_config(options.config, options.overrides);
  const Checkpoint checkpoint = load_saved_network(config);
  const ComputeDevice device =
      choose_compute_device(config.device, config.precision, checkpoint.network);
  const RunFolder folder = RunFolder::create(
      options.out.empty() ? std::filesystem::path("runs/sampling") / config.name : options.out);
  write_file_atomically(folder.config(), to_yaml(config));
  write_file_atomically(folder.new_environment(), describe_environment(command_line, device));
  if (options.style) {
    set_plot_style(folder.root(), *options.style);
  }
  RunLog log(folder.log(), options.quiet);
  log.info(fmt::format("{}: {} on {}, {} threads, results in {}", version(), config.name,
                       device.name, omp_get_max_threads(), folder.root().string()));
  if (!device.why_cpu.empty()) {
    log.info("no CUDA device: " + device.why_cpu);
  }
  SamplingRun run(config, checkpoint, folder, log, device);
  run.run();
  log.info(fmt::format("done: {}", folder.root().string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_sample", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Long chains from a saved network, by Langevin dynamics or MALA.\n\n"
        "  ebm_sample configs/sampling/flowers_nonconvergent.yaml "
        "--set sample.checkpoint=net.safetensors\n"
        "  ebm_sample configs/sampling/flowers_convergent_mh.yaml --out runs/b "
        "--set sample.steps=5000\n",
        "ebm_sample");
    app.set_version_flag("--version", version());
    app.add_option("config", options.config, "What to sample (YAML, or the published JSON)")
        ->required()
        ->option_text("CONFIG.yaml");
    app.add_option("--out", options.out,
                   "Folder for the results, new or empty [runs/sampling/NAME]")
        ->option_text("DIR");
    add_run_options(app, options);
    add_reference_option(app, sampling_reference);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return sample(options, std::span<const char* const>(argv, static_cast<std::size_t>(argc)));
  });
}
