// What a training run would take, before it is begun.
#pragma once

#include <cstdint>
#include <string>

#include "host/config/config.h"
#include "host/training/compute_device.h"
#include "host/training/run_log.h"

namespace ebm {

/// What was measured of a run, seconds.
struct RunMeasurement {
  std::int64_t iterations = 0;  ///< that were measured; 0: one takes too long
  std::int64_t steps = 0;       ///< else so many Langevin steps
  double seconds = 0;           ///< that these took
  double landscape = 0;         ///< one, of toy data that have them
};

/// Makes a run's data, network and chains, without a folder, as Trainer does, and logs what they
/// are and what memory they take; then measures about a second of iterations, and one landscape
/// where the run has some. Nothing is left of it, but for what loading images keeps. Throws as
/// Trainer does.
RunMeasurement measure_run(const TrainConfig& config, const ComputeDevice& device, RunLog& log);

/// "time: about 1:02, ...": how long the whole run takes by that, and what that is known from.
std::string describe_time(const RunMeasurement& measured, const TrainConfig& config);

}  // namespace ebm
