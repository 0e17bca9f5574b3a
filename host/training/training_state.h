// All that a training run's next iterations depend on besides its configuration.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cuda/base/buffer.h"
#include "cuda/base/errors.h"
#include "cuda/learning/learner.h"
#include "cuda/nn/network.h"
#include "host/config/config.h"

namespace ebm {

/// The images that a run is trained on, by their content.
struct TrainingData {
  std::string name;         ///< data.path, which may change
  std::int64_t images = 0;  ///< 0 for toy data
  std::string digest;       ///< "" for toy data
};

/// The images are not those that a state was trained on.
struct ChangedData : InputFileError {
  using InputFileError::InputFileError;
};

/// The state of a run between two iterations. Owns everything.
struct TrainingState {
  std::int64_t iteration = 0;             ///< the last one done
  double learning_rate = 0;               ///< of the next, by the schedule, before `rate_factor`
  int rollbacks = 0;                      ///< so far; each has random numbers of its own
  double rate_factor = 1;                 ///< that they have left of the learning rate
  std::vector<std::int64_t> checkpoints;  ///< iterations, ascending, whose checkpoints are kept
  LearnerState learned;
  TrainingData data;             ///< the same in all states of a run
  bool long_run_is_due = false;  ///< after this iteration, before the next
};

/// Long-run chains on their way.
struct LongRun {
  int steps = 0;         ///< done
  Buffer<float> states;  ///< after them
};

/// Rows of the bank: one for each of `images`, or as many as a toy configuration says; 0 without
/// persistent chains.
std::int64_t bank_rows(const TrainConfig& config, std::int64_t images);

/// The state before the first iteration, with such a bank.
TrainingState initial_state(const TrainConfig& config, const Network& network, std::int64_t images);

/// Makes `to`, a state of the same configuration, the same as `from`. Allocates nothing large.
void copy_state(const TrainingState& from, TrainingState& to);

/// Writes a state, with a digest, as safetensors with the numbers in the metadata. The file appears
/// whole or not at all. Throws OutputError.
void save_state(const std::filesystem::path& path, const TrainingState& state);

/// Reads a state into `state`, one of the same configuration: the same bits as were saved. Throws
/// InputFileError, and leaves `state` as it is, when the file is damaged or of another kind of run;
/// ChangedData when it says that its data are others than those of `state`. (Files that version 0.2
/// wrote do not say.)
void load_state(const std::filesystem::path& path, TrainingState& state);

/// The persistent bank of a run, and the state that it is of.
struct SavedBank {
  std::filesystem::path state;
  std::vector<float> values;
};

/// Reads the bank of any state. Throws InputFileError when there is none, or the file is damaged.
SavedBank load_bank(const std::filesystem::path& path);

/// Writes the long run that follows a state, likewise.
void save_long_run(const std::filesystem::path& path, const TrainingState& state,
                   const LongRun& run);

/// Reads a long run into `run`, whose states it leaves their size. Throws InputFileError, and
/// leaves `run` as it is, when the file is damaged or of another state or kind of run.
void load_long_run(const std::filesystem::path& path, const TrainingState& state, LongRun& run);

}  // namespace ebm
