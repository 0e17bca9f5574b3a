// A perceptron's energy on a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <memory>

#include "cuda/nn/energy.h"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/network.h"

namespace ebm {

/// A network that has perceptron_widths(): whole chains in one launch, float32 in any precision.
std::unique_ptr<Energy> make_device_perceptron(std::shared_ptr<CudaContext> context,
                                               const Network& network);

/// A bound on the bytes that it takes on the device.
std::size_t device_perceptron_bytes(const Network& network);

}  // namespace ebm
