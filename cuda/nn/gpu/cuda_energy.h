// The energy on a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "cuda/nn/energy.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// The network compiled for the calling thread's device: a perceptron on 1×1 states runs its chains
/// fused, others by cuDNN; at most `capacity` states in one call, or more where that makes no
/// difference, in so many shards side by side (a perceptron's chains are in one: they are side by
/// side in its kernel). `plan_cache` is a folder for cuDNN's plans; empty for none. θ must be set
/// before use.
std::unique_ptr<Energy> make_cuda_energy(const Network& network, std::int64_t capacity,
                                         Precision precision,
                                         const std::filesystem::path& plan_cache, int shards = 1);

/// A bound on the bytes that it takes on the device.
std::size_t cuda_energy_bytes(const Network& network, std::int64_t capacity, Precision precision,
                              int shards = 1);

/// The states that one of so many shards takes at most.
constexpr std::int64_t shard_capacity(std::int64_t capacity, int shards) {
  return (capacity + shards - 1) / shards;
}

}  // namespace ebm
