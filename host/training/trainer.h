// Algorithm 1: maximum-likelihood learning of an energy by MCMC.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/device/buffer.h"
#include "cuda/learning/energy_difference.h"
#include "cuda/learning/optimizer.h"
#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/langevin.h"
#include "cuda/mcmc/persistent_bank.h"
#include "cuda/nn/energy.h"
#include "host/config/config.h"
#include "host/data/image_dataset.h"
#include "host/output/append_file.h"
#include "host/output/landscape.h"
#include "host/output/plot.h"
#include "host/training/progress.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

namespace ebm {

/// One training run, from the configuration to the files of its run folder. A function of the
/// configuration alone: the same bits on one machine for any number of threads.
class Trainer {
 public:
  /// Reads the data and compiles the network. Throws InputFileError for the data,
  /// ConfigurationError when configuration and data do not fit. Folder and log are borrowed.
  Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log);

  /// All iterations. Throws Divergence when d_s or r_s is not finite, OutputError when a file
  /// cannot be written.
  void run();

 private:
  void load_data();
  void run_iterations();
  void draw_starts(InitialStates init, DataUse use, std::span<float> states);
  double effective_rate() const;
  void record(double d_s, double r_s);
  void require_finite_parameters() const;
  [[noreturn]] void diverged(const std::string& what) const;
  void report();
  void flush_diagnostics();
  void write_checkpoint();
  void write_grids();
  void write_landscape();
  void run_long_chains();
  void write_grid(const std::filesystem::path& path, std::span<const float> states) const;
  RandomStream stream(Purpose purpose) const;

  TrainConfig config_;
  const RunFolder& folder_;
  RunLog& log_;
  Network network_;
  std::unique_ptr<Energy> energy_;
  ImageDataset images_;  // empty for toy data
  std::unique_ptr<DataBatches> data_;
  std::optional<PersistentBank> bank_;  // init: persistent

  Buffer<float> theta_;
  Buffer<float> gradient_;
  Buffer<float> batch_;   // X⁺
  Buffer<float> chains_;  // X⁻
  LangevinSampler sampler_;
  EnergyDifference energy_difference_;
  Optimizer optimizer_;
  double learning_rate_;
  std::int64_t iteration_ = 0;

  AppendFile diagnostics_;
  std::vector<IterationRecord> unwritten_;
  std::vector<double> d_s_;  // of every iteration so far, for the diagnosis plot
  std::vector<double> r_s_;
  IterationRecord last_;
  Progress progress_;
  PlotQueue plots_;
  std::optional<Landscape> landscape_;  // toy data
  std::vector<std::filesystem::path> checkpoints_;
  std::chrono::steady_clock::time_point start_;
  double busy_seconds_ = 0;  // spent in iterations, not in reports
};

}  // namespace ebm
