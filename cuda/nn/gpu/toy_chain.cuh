// Langevin chains of the published toy network, weights in registers. For nvcc only; see
// DevicePerceptron, which chooses it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/device/cuda_stream.h"
#include "cuda/nn/gpu/chain_noise.cuh"

namespace ebm {

/// The published toy network: two inputs, layers of 32, 64, 64 and 64 units, one output.
inline constexpr int kToyWidths[] = {2, 32, 64, 64, 64, 1};
inline constexpr std::size_t kToyLayers = 5;

/// Where the toy network's weights and biases begin in θ.
struct ToyPlaces {
  std::int64_t weight[kToyLayers];
  std::int64_t bias[kToyLayers];
};

/// Enqueues the steps of `chains` chains, in place; adds each chain's Σ‖∇ₓf‖ to norm_sums. One
/// launch; `processors` is the device's number of multiprocessors.
void toy_langevin(const CudaStream& stream, int processors, const ToyPlaces& places,
                  const float* theta, const ChainSteps& run, std::int64_t chains, float* states,
                  float* norm_sums);

}  // namespace ebm
