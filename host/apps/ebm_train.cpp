// Trains an energy-based model as a configuration says.

#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>

#include "host/apps/choose_device.h"
#include "host/apps/exit_status.h"
#include "host/apps/run_options.h"
#include "host/config/config.h"
#include "host/output/atomic_file.h"
#include "host/training/environment.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/trainer.h"

namespace {

using namespace ebm;

struct Options : RunOptions {
  std::filesystem::path config;
  std::filesystem::path out;
};

int train(Options options, std::span<const char* const> command_line) {
  apply_run_options(options);
  const TrainConfig config = load_train_config(options.config, options.overrides);
  choose_device(config.device);
  const RunFolder folder(options.out.empty() ? std::filesystem::path("runs") / config.name
                                             : options.out);
  write_file_atomically(folder.config(), to_yaml(config));
  write_file_atomically(folder.environment(), describe_environment(command_line));
  RunLog log(folder.log(), options.quiet);
  log.info(fmt::format("{}: {} on {} threads, results in {}", version(), config.name,
                       omp_get_max_threads(), folder.root().string()));
  std::optional<Trainer> trainer;
  try {
    trainer.emplace(config, folder, log);
  } catch (...) {
    folder.discard();
    throw;
  }
  try {
    trainer->run();
  } catch (const std::exception& error) {
    log.failure(error.what());
    throw;
  }
  log.info(fmt::format("done: {}", folder.root().string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_train", [argc, argv] {
    Options options;
    CLI::App app(
        "Maximum-likelihood learning of an energy-based model by MCMC.\n\n"
        "  ebm_train configs/quick/gmm_convergent.yaml\n"
        "  ebm_train configs/mnist_convergent.yaml --out runs/a --set train.iterations=500\n",
        "ebm_train");
    app.set_version_flag("--version", version());
    app.add_option("config", options.config, "The experiment (YAML)")
        ->required()
        ->option_text("CONFIG.yaml");
    app.add_option("--out", options.out, "Folder for the results, new or empty [runs/NAME]")
        ->option_text("DIR");
    add_run_options(app, options);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return train(options, std::span<const char* const>(argv, static_cast<std::size_t>(argc)));
  });
}
