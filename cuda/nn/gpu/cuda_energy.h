// The energy on a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "cuda/nn/energy.h"
#include "cuda/nn/features.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// The network compiled for the calling thread's device: a perceptron on 1×1 states runs its chains
/// fused, others by cuDNN; at most `capacity` states in one call, or more where that makes no
/// difference. `plan_cache` is a folder for cuDNN's plans; empty for none. θ must be set before
/// use.
std::unique_ptr<Energy> make_cuda_energy(const Network& network, std::int64_t capacity,
                                         Precision precision,
                                         const std::filesystem::path& plan_cache);

/// The features of feature_network()'s network, in the same way.
std::unique_ptr<Features> make_cuda_features(const Network& network, std::int64_t capacity,
                                             Precision precision,
                                             const std::filesystem::path& plan_cache);

/// A bound on the bytes that it takes on the device.
std::size_t cuda_energy_bytes(const Network& network, std::int64_t capacity, Precision precision);

}  // namespace ebm
