// What the record of a training run says at its end.
#pragma once

#include <filesystem>
#include <optional>

#include "host/evaluation/evaluation.h"

namespace ebm {

/// Of diagnostics.csv up to an iteration, the last 2,000 or as many as there are: see Correlations.
/// Nothing where there is no such file, or it ends before. Throws InputFileError for a malformed
/// one.
std::optional<TrainingRecord> read_training_record(const std::filesystem::path& diagnostics,
                                                   std::int64_t iteration);

}  // namespace ebm
