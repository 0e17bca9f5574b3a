// The folder a run leaves behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "host/training/folder_lock.h"

namespace ebm {

/// Where a run's files are:
///
///     config.yaml  environment.json  origin.json  log.txt  diagnostics.csv  events.csv
///     diagnosis.{png,pdf,gp}  correlations.csv  plots.gp
///     checkpoints/                                         see CheckpointFolder
///     shortrun/x_000100.png  shortrun/bank_000100.png      images
///     longrun/longrun_010000.png                           images
///     longrun/                                             images; see LongRunRecords
///     landscape/                                           toy densities
///     tensorboard/                                         see Dashboard
///     lock                                                 of the process that writes the others
class RunFolder {
 public:
  /// Throws ConfigurationError when a new run cannot have this folder: it exists and is not empty.
  static void require_free(const std::filesystem::path& root);

  /// Makes the folder of a new run, and locks it. Throws as require_free(), OutputError when it
  /// cannot be made.
  static RunFolder create(std::filesystem::path root);

  /// Locks the folder of a run that is to go on. Throws ConfigurationError when it is none, or
  /// another process writes it.
  static RunFolder reopen(std::filesystem::path root);

  /// Empties the folder, of which all is this run's: for a run that could not start, so that the
  /// same command can be given again.
  void discard() const;

  /// False where the file system has no locks.
  bool is_locked() const { return lock_.is_held(); }

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.yaml"; }
  /// environment.json, and environment_2.json for the second process that worked on the run.
  std::filesystem::path new_environment() const;
  /// Of a run that began with given weights: see Origin.
  std::filesystem::path origin() const { return root_ / "origin.json"; }
  std::filesystem::path log() const { return root_ / "log.txt"; }
  std::filesystem::path diagnostics() const { return root_ / "diagnostics.csv"; }
  std::filesystem::path events() const { return root_ / "events.csv"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  std::filesystem::path landscape() const { return root_ / "landscape"; }
  std::filesystem::path tensorboard() const { return root_ / "tensorboard"; }
  std::filesystem::path short_run(std::int64_t iteration) const;
  std::filesystem::path bank(std::int64_t iteration) const;
  std::filesystem::path long_run(std::int64_t iteration) const;
  std::filesystem::path long_run_records() const { return root_ / "longrun"; }
  // Of a sampling run: what it goes on from, and a copy of the network that it samples.
  std::filesystem::path sampling_state() const { return root_ / "state.safetensors"; }
  std::filesystem::path sampled_network() const { return root_ / "network.safetensors"; }
  /// states/x_000500.png, of a sampling run.
  std::filesystem::path sampled_states(std::int64_t step) const;

 private:
  explicit RunFolder(std::filesystem::path root);

  std::filesystem::path numbered_picture(std::string_view folder, std::string_view stem,
                                         std::int64_t iteration) const;

  std::filesystem::path root_;
  FolderLock lock_;
};

}  // namespace ebm
