// A network's layers compiled for a batch of states on a CUDA device. In builds with CUDA only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cuda/nn/energy.h"
#include "cuda/nn/features.h"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/network.h"

namespace ebm {

/// The Langevin steps in one captured graph, the most first; a run is replayed as few of them. 50
/// steps: enough that launching a graph takes no part in a step's time.
inline constexpr std::array kGraphSteps = {50, 10, 1};

/// As many of `steps` as are a whole number of the longest graph there are enough for.
constexpr int steps_in_whole_graphs(int steps) {
  for (const int in_one : kGraphSteps) {
    if (steps >= in_one) {
      return steps - steps % in_one;
    }
  }
  return steps;
}

/// The network for at most `capacity` states in one call, in the context's precision. Langevin
/// steps are captured as graphs and replayed. θ must be set before use. Throws
/// std::invalid_argument for a non-local block of more channels than a kernel has room for.
std::unique_ptr<Energy> make_device_network(std::shared_ptr<CudaContext> context,
                                            const Network& network, std::int64_t capacity);

/// The features of feature_network()'s network, likewise.
std::unique_ptr<Features> make_device_features(std::shared_ptr<CudaContext> context,
                                               const Network& network, std::int64_t capacity);

/// A bound on the bytes that either takes on the device, the context's workspace included.
std::size_t device_network_bytes(const Network& network, std::int64_t capacity,
                                 Precision precision);

}  // namespace ebm
