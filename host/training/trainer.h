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
#include "host/training/diagnostic_chains.h"
#include "host/training/interruption.h"
#include "host/training/origin.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"
#include "host/training/run_outputs.h"
#include "host/training/schedule.h"
#include "host/training/training_state.h"

namespace ebm {

/// The images of a run, of which it logs what they are; none for toy data. Throws InputFileError;
/// ConfigurationError when a batch has more, or when the device has not the memory for the network
/// and a batch, whatever the images.
ImageDataset load_training_images(const TrainConfig& config, const ComputeDevice& device,
                                  RunLog& log);

LearnerSettings learner_settings(const TrainConfig& config);

/// About what a run takes of the device's memory besides its energy, bytes; `images` are those of
/// the training set.
std::size_t learning_bytes(const TrainConfig& config, const Network& network, std::int64_t images,
                           const ComputeDevice& device);

/// One training run, from the configuration to the files of its run folder. A function of the
/// configuration alone: the same bits on one machine for any number of threads, and however often
/// the run was stopped on its way.
class Trainer {
 public:
  /// Reads the data and compiles the network; goes on from the newest state in the folder, if there
  /// is one. Folder and log are borrowed. Throws InputFileError for the data, also when they are
  /// not those of the state, or when no state in the folder can be read, ConfigurationError when
  /// configuration and data do not fit.
  Trainer(const TrainConfig& config, const RunFolder& folder, RunLog& log,
          StopRequest stop = never_asked_to_stop, const ComputeDevice& device = {});

  /// Begins with these weights, and this bank, and saves them as the state after no iteration. To
  /// be called before anything else, of a new run. Throws ConfigurationError when the bank is not
  /// as large as this run's, OutputError.
  void start_from(const Origin& origin);

  /// Whether the run has a state on disk.
  bool has_state() const { return has_state_; }

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
  TrainingState first_state() const;
  void use_state();
  bool iterate();
  bool take_results(bool all);
  double learning_rate() const;
  double optimizer_rate() const;
  void handle_divergence();
  void roll_back(const std::string& what);
  bool write_what_is_due(const Due& due);
  bool finish_long_run();
  bool must_give_up() const;
  void save_and_stop();

  TrainConfig config_;
  RunLog& log_;
  StopRequest stop_;
  ImageDataset images_;  // empty for toy data
  Network network_;
  std::unique_ptr<Energy> energy_;
  TrainingData trained_on_;
  TrainingState state_;  // numbers of the last iteration begun; the rest after synchronize()
  std::unique_ptr<DataBatches> data_;
  Learner learner_;
  DiagnosticChains diagnostic_chains_;
  CheckpointFolder checkpoints_;
  RunOutputs outputs_;
  bool has_state_ = false;  // that it goes on from
  IterationResult last_;    // the newest that is known
  std::pair<std::int64_t, std::int64_t> profiled_{0, 0};
};

}  // namespace ebm
