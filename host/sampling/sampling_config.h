// The configuration of a sampling run from what a user gives: a file, or only a run or a network.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "host/config/config.h"

namespace ebm {

/// Reads what to sample. `what` is a configuration file; or the folder of a run or the file of a
/// network, which need none: chains of the run's name (else the file's) start from the run's data
/// (else from noise), for 1000 steps. What the checkpoint and its run say need not be said:
/// network, train_epsilon, epsilon, data. sample.checkpoint becomes the file that is meant.
///
/// Throws ConfigurationError as load_sample_config() does, InputFileError for the checkpoint.
SampleConfig load_sampling(const std::filesystem::path& what,
                           std::span<const std::string> overrides);

}  // namespace ebm
