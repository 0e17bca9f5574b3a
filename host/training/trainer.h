// Algorithm 1: maximum-likelihood learning of an energy-based model by MCMC.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "cuda/learning/learner.h"
#include "cuda/mcmc/data_batches.h"
#include "host/config/config.h"
#include "host/data/image_dataset.h"
#include "host/training/checkpoint_folder.h"
#include "host/training/compute_device.h"
#include "host/training/interruption.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/run_outputs.h"
#include "host/training/training_state.h"

namespace ebm {

/// One training run, from the configuration to the files of its run folder. A function of the
/// configuration alone: the same bits on one machine for any number of threads, and however often
/// the run was stopped on its way.
class Trainer {
 public:
  /// Reads the data and compiles the network; goes on from the newest state in the folder, if there
  /// is one. Folder and log are borrowed. Throws InputFileError for the data or when no state in
  /// the folder can be read, ConfigurationError when configuration and data do not fit.
  Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log,
          StopRequest stop = never_asked_to_stop, const ComputeDevice& device = {});

  /// Turns the device's profiler on before the first of these iterations and off after the last.
  void profile(std::int64_t first, std::int64_t last) { profiled_ = {first, last}; }

  /// Iterations done so far, by earlier processes as well.
  std::int64_t iteration() const { return state_.iteration; }

  /// All iterations that are left. Returns false when it was asked to stop and has saved its state;
  /// an iteration that takes longer than checkpoint.grace from then on is given up. Throws
  /// Divergence when learning diverged and may not be rolled back any more, OutputError when a
  /// file cannot be written.
  bool run();

 private:
  std::unique_ptr<Energy> make_energy_on(const ComputeDevice& device) const;
  void use_state();
  bool run_iterations();
  bool iterate();
  void take_results(bool all);
  bool something_is_due() const;
  void run_diagnostic_chains(Purpose noise, int first_step, int steps, std::int64_t chains,
                             float* states);
  double learning_rate() const;
  double optimizer_rate() const;
  void handle_divergence(const std::string& reason);
  void roll_back(const std::string& what);
  bool run_scheduled_work();
  std::int64_t landscape_chains() const;
  void write_landscape();
  bool run_long_chains();
  bool must_give_up() const;
  void save_and_stop();

  TrainConfig config_;
  RunLog& log_;
  StopRequest stop_;
  ImageDataset images_;  // empty for toy data
  Network network_;
  TrainingState state_;  // numbers of the last iteration begun; the rest after synchronize()
  std::unique_ptr<Energy> energy_;
  std::unique_ptr<DataBatches> data_;
  Learner learner_;
  ChainRunner runner_;      // of diagnostics
  std::uint64_t seed_ = 0;  // the configuration's, or another after a rollback
  CheckpointFolder checkpoints_;
  RunOutputs outputs_;
  IterationResult last_;  // the newest that is known
  std::pair<std::int64_t, std::int64_t> profiled_{0, 0};
};

}  // namespace ebm
