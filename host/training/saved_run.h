// A run, or only a network, that is given on a command line.
#pragma once

#include <filesystem>
#include <optional>

#include "host/config/config.h"

namespace ebm {

/// A network on disk, and the run that it is of.
struct SavedRun {
  std::filesystem::path network;      ///< a file for load_checkpoint()
  std::filesystem::path folder{};     ///< of the run; empty where it is not known
  std::optional<TrainConfig> config;  ///< of the run, where it is known
};

/// Finds what `path` says: the folder of a run, of which the newest network is meant, or the file
/// of a network, which is of a run when it lies in the `checkpoints` of one. The file is not read.
/// Throws InputFileError when there is no such file or folder, or the run has no network yet;
/// ConfigurationError when the run's configuration cannot be read.
SavedRun find_saved_run(const std::filesystem::path& path);

/// The folder of the run in whose `checkpoints` a network lies or lay; empty where there is none.
std::filesystem::path run_of_network(const std::filesystem::path& network);

}  // namespace ebm
