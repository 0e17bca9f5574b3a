// When a run does more than learn.
#pragma once

#include <cstdint>

#include "host/config/config.h"

namespace ebm {

/// What a run writes after an iteration, besides its line of the record.
struct Due {
  bool log_line = false;    ///< at log points, the last iteration being one, and after the first
  bool diagnosis = false;   ///< its plot, at log points of more than one iteration
  bool short_run = false;   ///< pictures of the chains, at log points; of images
  bool landscape = false;   ///< of toy densities
  bool checkpoint = false;  ///< network and state
  bool long_run = false;    ///< long chains, after all the others; of images

  bool anything() const {
    return log_line || diagnosis || short_run || landscape || checkpoint || long_run;
  }
};

/// By the configuration alone.
Due due_after(std::int64_t iteration, const TrainConfig& config);

/// How many landscapes are due after this iteration, 1 or later, and those that follow it. That of
/// the first iteration does not count.
std::int64_t landscapes_from(std::int64_t iteration, const TrainConfig& config);
/// The same for long runs.
std::int64_t long_runs_from(std::int64_t iteration, const TrainConfig& config);

}  // namespace ebm
