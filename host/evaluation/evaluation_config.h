// The configuration of an evaluation from what a user gives: a file, or only a run or a network.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "host/config/config.h"

namespace ebm {

/// An evaluation's configuration, and the run whose network it is of.
struct EvaluationChoice {
  EvaluateConfig config;      ///< evaluate.checkpoint is the file that is meant
  std::filesystem::path run;  ///< its folder; empty where there is none
};

/// Reads what to evaluate. `what` is a configuration file; or the folder of a run or the file of a
/// network, which need none. What the checkpoint and its run say need not be said: name, network,
/// data, langevin; of a run that is all.
///
/// Throws ConfigurationError as load_evaluate_config() does, InputFileError for the checkpoint.
EvaluationChoice load_evaluation(const std::filesystem::path& what,
                                 std::span<const std::string> overrides);

}  // namespace ebm
