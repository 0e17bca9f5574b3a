// What of a run is kept so that it can go on: networks and states, the newest and some more.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/nn/network.h"
#include "host/config/config.h"
#include "host/training/checkpoint.h"
#include "host/training/training_state.h"

namespace ebm {

/// The network of most iterations in the folder `checkpoints` of a run, if there is one.
std::optional<std::filesystem::path> newest_network(const std::filesystem::path& folder);

/// The state of the iteration that this network, named as in such a folder, was saved after, where
/// it is beside it.
std::optional<std::filesystem::path> state_beside(const std::filesystem::path& network);

/// The folder `checkpoints` of a run:
///
///     net_000100.safetensors       a network: see save_checkpoint()
///     state_000100.safetensors     the state of the run after the same iteration: see save_state()
///     net_000000.safetensors, state_000000.safetensors    of a run that began with given weights
///     latest                       the name of the newest state, a line of text
///     longrun.safetensors          long-run chains that were stopped on their way
///     diverged_000123.safetensors  a network that diverged, for inspection
///
/// `latest` names a state that has reached the disk, at any moment and after a power cut.
///
/// The run goes on while a state is written: saving makes a copy, which a thread of its own writes.
/// There is one such thread at a time; whatever depends on its files waits for it, and throws
/// OutputError when it failed.
class CheckpointFolder {
 public:
  /// Hears why a state could not be read.
  using Warn = std::function<void(const std::string& reason)>;

  /// `info` is what the networks say of themselves but for the iteration. `network` is borrowed.
  /// `spare`, any state of this run, is memory for the copy that is being written.
  CheckpointFolder(std::filesystem::path folder, const CheckpointConfig& config,
                   CheckpointInfo info, const Network& network, TrainingState spare, Warn warn);

  /// Begins to write network and state; notes in the state that they are kept, when they are due.
  /// Once they are on disk, those that are not kept any more are removed.
  void save(TrainingState& state);

  /// Begins to write the state of a run about to stop, unless it has been already; the next one
  /// replaces it.
  void save_between(TrainingState& state);

  /// Waits until all is on disk. Throws OutputError when the last state could not be written; what
  /// was there before is whole then.
  void finish();
  /// Throws the same without waiting, when it is known.
  void throw_failure();

  /// Writes long-run chains of this state, or, once they have been run, removes them.
  void save_long_run(const TrainingState& state, const LongRun& run);
  void remove_long_run();

  /// Reads into `run` what save_long_run() wrote for this state, if it is there and whole.
  void load_long_run(const TrainingState& state, LongRun& run) const;

  /// Writes a network that diverged after this iteration. It need not be finite.
  void save_diverged(std::int64_t iteration, std::span<const float> theta);

  /// Reads the state that `latest` names, or, with a warning, the newest before it that is whole.
  /// Returns whether there is any; throws InputFileError when there are states but none is whole,
  /// ChangedData when it is of other data.
  bool load_latest(TrainingState& state);

  /// Reads the last of the checkpoints that are due by configuration, likewise.
  bool load_last_due(TrainingState& state);

 private:
  std::filesystem::path file(std::string_view stem, std::int64_t iteration) const;
  std::filesystem::path long_run() const { return folder_ / "longrun.safetensors"; }
  void begin_writing(TrainingState& state, bool with_network);
  void write(bool with_network);
  void save_network(std::string_view stem, std::int64_t iteration, std::span<const float> theta);
  bool load_first_whole(std::span<const std::int64_t> candidates, TrainingState& state);
  std::optional<std::int64_t> named_by_latest() const;
  void remove_superseded(TrainingState& state);

  std::filesystem::path folder_;
  CheckpointConfig config_;
  CheckpointInfo info_;
  const Network& network_;
  Warn warn_;
  std::int64_t newest_ = 0;   // the iteration of the state last given to be written, or read
  TrainingState copy_;        // the writer's while there is one
  std::future<void> writer_;  // last: waited for before what it uses is gone
};

}  // namespace ebm
