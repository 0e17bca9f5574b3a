#include "host/apps/run_options.h"

#include <fmt/format.h>
#include <omp.h>

#include "host/output/plot_style.h"
#include "host/training/environment.h"

namespace ebm {

void add_run_options(CLI::App& app, RunOptions& options) {
  app.add_option("--device", options.device, "Where to compute, instead of the configuration's")
      ->option_text("auto|cpu|cuda[:N]");
  app.add_option("--threads", options.threads, "CPU threads [all]; results do not depend on it")
      ->check(CLI::Range(1, 4096))
      ->option_text("N");
  app.add_option("--set", options.overrides, "Override a key of the configuration; repeatable")
      ->option_text("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  app.add_flag("--quiet", options.quiet, "Print nothing but warnings and errors");
  add_style_option(app, options.style);
}

void add_style_option(CLI::App& app, std::optional<std::string>& style) {
  app.add_option_function<std::string>(
         "--style", [&style](const std::string& file) { style = read_plot_style(file); },
         "Plots are drawn in the style of this file, kept as plots.gp")
      ->option_text("FILE");
}

void log_start(RunLog& log, const std::string& name, const ComputeDevice& device,
               const std::string& where) {
  log.info(fmt::format("{}: {} on {}, {} threads, {}", version(), name, device.name,
                       omp_get_max_threads(), where));
  if (!device.why_cpu.empty()) {
    log.info("no CUDA device: " + device.why_cpu);
  }
}

void add_reference_option(CLI::App& app, std::string (*reference)()) {
  const auto print = [reference] {
    fmt::print("{}", reference());
    throw CLI::Success();
  };
  app.add_flag_callback("--reference", print,
                        "Print a configuration that explains every key, and exit");
}

void apply_run_options(RunOptions& options) {
  if (options.threads > 0) {
    omp_set_num_threads(options.threads);
  }
  if (!options.device.empty()) {
    options.overrides.push_back("device=" + options.device);
  }
}

}  // namespace ebm
