// Runs long chains from a saved network as a configuration says.

#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "host/apps/choose_device.h"
#include "host/apps/exit_status.h"
#include "host/config/config.h"
#include "host/output/atomic_file.h"
#include "host/sampling/sampling_run.h"
#include "host/training/environment.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

namespace {

using namespace ebm;

struct Options {
  std::filesystem::path config;
  std::filesystem::path out;
  std::string device;
  int threads = 0;
  std::vector<std::string> overrides;
  bool quiet = false;
};

int sample(Options options, std::span<const char* const> command_line) {
  if (!options.device.empty()) {
    options.overrides.push_back("device=" + options.device);
  }
  const SampleConfig config = load_sample_config(options.config, options.overrides);
  choose_device(config.device);
  if (options.threads > 0) {
    omp_set_num_threads(options.threads);
  }
  const Checkpoint checkpoint = load_saved_network(config);
  const RunFolder folder = RunFolder::create(
      options.out.empty() ? std::filesystem::path("runs/sampling") / config.name : options.out);
  write_file_atomically(folder.config(), to_yaml(config));
  write_file_atomically(folder.new_environment(), describe_environment(command_line));
  RunLog log(folder.log(), options.quiet);
  log.info(fmt::format("{}: {} on {} threads, results in {}", version(), config.name,
                       omp_get_max_threads(), folder.root().string()));
  SamplingRun run(config, checkpoint, folder, log);
  run.run();
  log.info(fmt::format("done: {}", folder.root().string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_sample", [argc, argv] {
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
    app.add_option("--device", options.device, "Where to compute, instead of the configuration's")
        ->option_text("auto|cpu|cuda[:N]");
    app.add_option("--threads", options.threads, "CPU threads [all]; results do not depend on it")
        ->check(CLI::Range(1, 4096))
        ->option_text("N");
    app.add_option("--set", options.overrides, "Override a key of the configuration; repeatable")
        ->option_text("SECTION.KEY=VALUE")
        ->allow_extra_args(false);
    app.add_flag("--quiet", options.quiet, "Print nothing but warnings and errors");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return sample(options, std::span<const char* const>(argv, static_cast<std::size_t>(argc)));
  });
}
