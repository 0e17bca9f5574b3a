// The energy on a CUDA device for callers whose states are in the host's memory. In builds with
// CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "cuda/nn/cuda_context.h"
#include "cuda/nn/device_energy.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// The network compiled for the context's device: a perceptron on 1×1 states runs its chains fused,
/// others by cuDNN; at most `capacity` states in one call, or more where that makes no difference.
/// Borrows the context.
std::unique_ptr<DeviceEnergy> make_device_energy(CudaContext& context, const Network& network,
                                                 std::int64_t capacity);

/// A bound on the bytes that this takes on the device.
std::size_t device_energy_bytes(const Network& network, std::int64_t capacity, Precision precision);

/// An Energy that computes on the device, and copies there and back in each call, which waits.
/// Keeps both alive. Owns its copy of θ; where somebody else gives `energy` its parameters,
/// set_parameters() need not be called.
std::unique_ptr<Energy> make_host_energy(std::shared_ptr<CudaContext> context,
                                         std::shared_ptr<DeviceEnergy> energy,
                                         const Network& network);

/// All of this, with a context of its own, on the calling thread's device.
std::unique_ptr<Energy> make_cuda_energy(const Network& network, std::int64_t capacity,
                                         Precision precision,
                                         const std::filesystem::path& plan_cache);

}  // namespace ebm
