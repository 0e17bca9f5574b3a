// A network's layers compiled for a batch of states on a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cuda/nn/cuda_context.h"
#include "cuda/nn/device_energy.h"
#include "cuda/nn/network.h"

namespace ebm {

/// The network for at most `capacity` states in one call, in the context's precision. Langevin
/// steps are captured as graphs and replayed. θ must be set before use. Borrows the context. Throws
/// std::invalid_argument for a list of layers that only the CPU computes: a convolution with a
/// kernel above 1 behind a flatten.
std::unique_ptr<DeviceEnergy> make_device_network(CudaContext& context, const Network& network,
                                                  std::int64_t capacity);

/// A bound on the bytes that this takes on the device, the context's workspace included.
std::size_t device_network_bytes(const Network& network, std::int64_t capacity,
                                 Precision precision);

}  // namespace ebm
