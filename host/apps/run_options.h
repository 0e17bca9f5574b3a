// The options that all programs have which compute as a configuration says.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/training/compute_device.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

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

/// Says in the first lines of a run's log what computes it, and `where` its results are.
void log_start(RunLog& log, const std::string& name, const ComputeDevice& device,
               const std::string& where);

/// Discards a run's folder at its end, unless told to keep it: of a new run that could not start,
/// so that the same command can be given again.
class FolderOfStart {
 public:
  /// The folder is borrowed.
  FolderOfStart(const RunFolder& folder, bool is_new) : folder_(folder), is_kept_(!is_new) {}
  ~FolderOfStart() {
    if (!is_kept_) {
      folder_.discard();
    }
  }
  FolderOfStart(const FolderOfStart&) = delete;
  FolderOfStart& operator=(const FolderOfStart&) = delete;

  void keep() { is_kept_ = true; }

 private:
  const RunFolder& folder_;
  bool is_kept_;
};

/// Adds --reference, which prints that text, a configuration that explains every key, and exits.
void add_reference_option(CLI::App& app, std::string (*reference)());

/// Takes the threads, and puts the device last among the overrides.
void apply_run_options(RunOptions& options);

}  // namespace ebm
