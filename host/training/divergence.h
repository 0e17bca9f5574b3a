// Why learning diverged, in words.
#pragma once

#include <string>

#include "cuda/learning/iteration_ring.h"
#include "host/config/config.h"

namespace ebm {

/// "d_s is nan", or "d_s is 2e+09 and beyond divergence.energy_difference: 1e9": the fault of an
/// iteration's result. Empty where it has none.
std::string describe_divergence(const IterationResult& result, const DivergenceConfig& limits);

}  // namespace ebm
