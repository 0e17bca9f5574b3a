// Everything of a training run that is for people: the record, the log, pictures and plots.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/learning/iteration_ring.h"
#include "cuda/nn/network.h"
#include "host/config/config.h"
#include "host/output/landscape.h"
#include "host/output/plot.h"
#include "host/training/dashboard.h"
#include "host/training/long_run_records.h"
#include "host/training/progress.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/run_record.h"

namespace ebm {

/// Writes a run's folder but for its checkpoints. All functions may throw OutputError.
class RunOutputs {
 public:
  /// All are borrowed but the shape.
  RunOutputs(const TrainConfig& config, const Shape& states, const RunFolder& folder, RunLog& log);

  /// The run goes on after this iteration, with so many rollbacks behind it: later lines of the
  /// tables are forgotten. To be called first. Throws InputFileError when lines are missing.
  void go_back(std::int64_t iteration, int rollbacks);

  /// Adds the next iteration's line, and shows it on a terminal.
  void add(const IterationResult& result);

  /// Writes and logs the lines so far; with `plot`, draws the diagnosis.
  void write_log_point(bool plot);
  /// Waits for plots that are still being drawn. Nothing is written afterwards.
  void finish();
  /// Makes the record outlive a power cut.
  void sync() { record_.sync(); }
  /// Writes that the run went back: see RunRecord.
  void add_rollback(std::int64_t from, const std::string& why, std::int64_t to, double rate) {
    record_.add_rollback(from, why, to, rate);
  }

  /// Chains after their short run, and as many of the bank's states, if there is one.
  void write_short_run(std::span<const float> chains, std::span<const float> bank);
  /// Opens the records of a long run of which so many steps have been taken. Returns false where
  /// they do not have these: it is to begin anew.
  bool begin_long_run(int steps);
  /// Records the next steps, and shows on a terminal how far the long run is.
  void add_long_run(int step, std::span<const float> energies,
                    std::span<const float> gradient_norms);
  void sync_long_run() { long_run_->sync(); }
  /// Chains after their long run.
  void write_long_run(std::span<const float> chains);

  /// Whether this is toy data with landscapes.
  bool has_landscape() const { return landscape_.has_value(); }
  /// The states whose energies write_landscape() wants.
  const std::vector<float>& grid_states() const { return landscape_->grid_states(); }
  /// The axis of the grid on which it wants the density of short-run chains.
  const std::vector<float>& grid_axis() const { return landscape_->axis(); }
  /// f of grid_states(), and the density of short-run chains.
  void write_landscape(std::span<const float> f, const KernelDensity& chains);

 private:
  /// Returns what of its numbers is outside [-1, 1], as "0.12%".
  std::string write_grid(std::string_view tag, const std::filesystem::path& path,
                         std::span<const float> states);

  const RunFolder& folder_;
  RunLog& log_;
  Shape shape_;
  const TrainConfig& config_;
  RunRecord record_;
  std::optional<Progress> progress_;
  PlotQueue plots_;
  std::optional<Landscape> landscape_;
  std::optional<LongRunRecords> long_run_;
  std::optional<Dashboard> dashboard_;
  std::vector<IterationRecord> since_log_point_;
  IterationRecord last_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace ebm
