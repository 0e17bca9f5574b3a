// Where a sampling run's chains start.
#pragma once

#include "cuda/device/queue.h"
#include "cuda/nn/network.h"
#include "host/config/config.h"
#include "host/training/run_log.h"

namespace ebm {

/// Fills `states`, sample.chains × the shape's size, where the queue computes, as `start` says:
/// with noise, with data, or with the states of a file. Waits where the host's memory is copied
/// from. Throws InputFileError for a file, ConfigurationError when it holds too few.
void draw_starting_states(const SampleConfig& config, const Shape& shape, const Queue& queue,
                          RunLog& log, float* states);

}  // namespace ebm
