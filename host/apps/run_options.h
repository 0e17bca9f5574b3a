// The options that all programs have which compute as a configuration says.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ebm {

struct RunOptions {
  std::string device;  ///< instead of the configuration's; "" for that
  int threads = 0;     ///< 0 for all
  std::vector<std::string> overrides;
  bool quiet = false;
  std::optional<std::string> style;  ///< text of gnuplot commands for all plots
};

/// Adds --device, --threads, --set, --quiet and --style to a program that fills `options` when it
/// parses.
void add_run_options(CLI::App& app, RunOptions& options);

/// Adds --style, which reads the file: InputFileError when it cannot be read.
void add_style_option(CLI::App& app, std::optional<std::string>& style);

/// Adds --reference, which prints that text, a configuration that explains every key, and exits.
void add_reference_option(CLI::App& app, std::string (*reference)());

/// Takes the threads, and puts the device last among the overrides.
void apply_run_options(RunOptions& options);

}  // namespace ebm
