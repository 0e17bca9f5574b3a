// The persistent bank of the run whose network is evaluated.
#pragma once

#include <filesystem>

#include "cuda/nn/network.h"
#include "host/config/config.h"
#include "host/training/run_log.h"

namespace ebm {

/// Writes evaluate.chains rows of the bank, evenly spaced, to bank.npy in `folder`; nothing, and
/// says so, where the run's chains are not persistent, the network's state is not beside it, or the
/// bank has fewer rows. Throws InputFileError for a damaged one.
void save_bank_rows(const EvaluateConfig& config, const Shape& shape,
                    const std::filesystem::path& folder, RunLog& log);

}  // namespace ebm
