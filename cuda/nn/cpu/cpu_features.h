// The features of a network on the CPU.
#pragma once

#include <memory>

#include "cuda/nn/features.h"

namespace ebm {

/// Of feature_network()'s network, by oneDNN, in float32. The same bits for any number of threads;
/// those are the ones that OpenMP would use now. θ must be set before use.
std::unique_ptr<Features> make_cpu_features(const Network& network);

}  // namespace ebm
