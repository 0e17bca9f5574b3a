// Long chains from a fixed energy on a CUDA device, every step recorded. In builds with CUDA only.
#pragma once

#include <cstdint>

#include "cuda/device/cuda_stream.h"
#include "cuda/nn/device_energy.h"
#include "cuda/nn/sampling_steps.h"

namespace ebm {

/// Runs the chains [first, first + chains) of a batch, whose memory is the host's, for
/// Energy::sample. At most energy.capacity() chains. Waits.
void sample_on_device(const CudaStream& stream, DeviceEnergy& energy, const SamplingSteps& run,
                      const SamplingChains& batch, std::int64_t first, std::int64_t chains);

}  // namespace ebm
