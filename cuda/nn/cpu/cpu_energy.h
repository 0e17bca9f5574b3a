// The energy on the CPU.
#pragma once

#include <cstdint>
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

/// About what that takes, bytes, on so many threads, with weight gradients of `batch` states. What
/// oneDNN takes is known only when its primitives exist: its layouts are taken to be filled up to
/// 16 channels; where it unrolls images, as for some shapes without AVX-512, they come on top.
std::int64_t cpu_energy_bytes(const Network& network, std::int64_t batch, Precision precision,
                              int threads);

}  // namespace ebm
