// The energy on the CPU.
#pragma once

#include <memory>

#include "cuda/nn/energy.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// The network on the CPU, by oneDNN; a perceptron on 1×1 states runs its chains fused, in float32.
/// A precision that the processor does not have is float32: bf16 asks for AVX-512's. θ must be set
/// before use.
std::unique_ptr<Energy> make_cpu_energy(const Network& network,
                                        Precision precision = Precision::fp32);

}  // namespace ebm
