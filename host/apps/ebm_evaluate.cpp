// Says whether a trained energy is a density, with the evidence.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "host/apps/exit_status.h"
#include "host/apps/run_options.h"
#include "host/config/config.h"
#include "host/config/reference.h"
#include "host/evaluation/evaluation_bank.h"
#include "host/evaluation/evaluation_config.h"
#include "host/evaluation/evaluation_json.h"
#include "host/evaluation/evaluation_run.h"
#include "host/output/plot_style.h"
#include "host/output/report.h"
#include "host/training/compute_device.h"
#include "host/training/environment.h"
#include "host/training/interruption.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/saved_run.h"

namespace {

using namespace ebm;

struct Options : RunOptions {
  std::filesystem::path what;
  std::filesystem::path out;
  std::filesystem::path resume;
};

/// What an evaluation is begun with; it has the folder for itself.
struct Start {
  EvaluateConfig config;
  std::filesystem::path run;  ///< whose network it is; empty where there is none
  Checkpoint checkpoint;
  ComputeDevice device;
  RunFolder folder;
};

/// In the run's folder, where there is one.
std::filesystem::path default_folder(const EvaluationChoice& choice) {
  return choice.run.empty() ? std::filesystem::path("runs/evaluation") / choice.config.name
                            : choice.run / "evaluation";
}

Start new_evaluation(const Options& options) {
  EvaluationChoice choice = load_evaluation(options.what, options.overrides);
  Checkpoint checkpoint =
      load_checkpoint(choice.config.evaluate.checkpoint, choice_of(choice.config.network));
  const ComputeDevice device =
      choose_compute_device(choice.config.device, choice.config.precision, checkpoint.network);
  RunFolder folder = RunFolder::create(options.out.empty() ? default_folder(choice) : options.out);
  return {std::move(choice.config), std::move(choice.run), std::move(checkpoint), device,
          std::move(folder)};
}

Start stopped_evaluation(const Options& options) {
  RunFolder folder = RunFolder::reopen(options.resume);
  if (!std::filesystem::exists(folder.sampled_network())) {
    throw ConfigurationError(
        fmt::format("--resume {}: is not an evaluation that can go on: it has no {}",
                    options.resume.string(), folder.sampled_network().filename().string()));
  }
  EvaluateConfig config = load_resumed_evaluate_config(folder.config(), options.overrides);
  Checkpoint checkpoint = load_checkpoint(folder.sampled_network(), choice_of(config.network));
  const ComputeDevice device =
      choose_compute_device(config.device, config.precision, checkpoint.network);
  std::filesystem::path run = run_of_network(config.evaluate.checkpoint);
  return {std::move(config), std::move(run), std::move(checkpoint), device, std::move(folder)};
}

int evaluate(Options options, std::span<const char* const> command_line) {
  apply_run_options(options);
  const bool is_new = options.resume.empty();
  const auto [config, run, checkpoint, device, folder] =
      is_new ? new_evaluation(options) : stopped_evaluation(options);
  FolderOfStart start(folder, is_new);
  RunLog log(folder.log(), options.quiet);
  log_start(log, config.name, device, "results in " + folder.root().string());
  if (is_new) {  // training may go on
    save_checkpoint(folder.sampled_network(), checkpoint.info, checkpoint.network,
                    checkpoint.parameters.span());
    save_bank_rows(config, checkpoint.network.input(), folder.root(), log);
  }
  write_file_atomically(folder.config(), to_yaml(config));
  write_file_atomically(folder.new_environment(), describe_environment(command_line, device));
  if (options.style) {
    set_plot_style(folder.root(), *options.style);
  }
  stop_on_signals();
  EvaluationRun evaluation(config, checkpoint, run, folder, log, seconds_since_signal, device);
  start.keep();
  const std::optional<Verdict> verdict = evaluation.run();
  if (!verdict) {
    log.info(fmt::format("stopped by {}; to go on: ebm_evaluate --resume {}", stopping_signal(),
                         folder.root().string()));
    return kStopped;
  }
  for (const Criterion& criterion : verdict->criteria) {
    log.info(fmt::format("{:<21}  {:<9}  {}", criterion.name, to_string(criterion.answer),
                         criterion.says));
  }
  write_report(run, folder.root(), folder.root() / "report.html");
  log.info(fmt::format("verdict: {}: {}", verdict_name(verdict->convergent), verdict->why));
  log.info(fmt::format("done: {}", folder.root().string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("ebm_evaluate", argv, [argc, argv] {
    Options options;
    CLI::App app(
        "Says whether a trained energy is a density whose draws are like the data.\n"
        "With the evidence: long chains, log Z, likelihood, distances from the data.\n\n"
        "  ebm_evaluate runs/a\n"
        "  ebm_evaluate runs/a --out evaluation --set evaluate.steps=20000\n"
        "  ebm_evaluate --resume runs/a/evaluation\n",
        "ebm_evaluate");
    app.set_version_flag("--version", version());
    auto* what = app.add_option("what", options.what, "A run, a network, or a configuration (YAML)")
                     ->option_text("RUN|NET.safetensors|CONFIG.yaml");
    auto* out = app.add_option("--out", options.out,
                               "Folder for the results, new or empty [RUN/evaluation]")
                    ->option_text("DIR");
    auto* resume = app.add_option("--resume", options.resume,
                                  "Go on with an evaluation that was stopped, from its folder")
                       ->option_text("DIR")
                       ->excludes(what)
                       ->excludes(out);
    add_run_options(app, options);
    add_reference_option(app, evaluation_reference);
    try {
      app.parse(argc, argv);
      if (what->empty() && resume->empty()) {
        throw CLI::RequiredError("RUN, NET.safetensors, CONFIG.yaml or --resume DIR");
      }
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
    }
    return evaluate(options, std::span<const char* const>(argv, static_cast<std::size_t>(argc)));
  });
}
