// The energy f(x; θ) of a batch of states on a device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"
#include "cuda/nn/sampling_steps.h"
#include "cuda/nn/tile_energy.h"

namespace ebm {

/// An energy compiled for a device. p(x) ∝ exp(−U(x)), U = f/(ε²/2): low f is likely.
/// States are count × state_size() floats, channel-major.
class Energy {
 public:
  virtual ~Energy() = default;

  virtual std::int64_t state_size() const = 0;

  /// Takes a new θ; in force until the next call.
  virtual void set_parameters(std::span<const float> theta) = 0;

  /// f[i] of states[i]; f.size() states.
  virtual void energies(std::span<const float> states, std::span<float> f) = 0;

  /// f[i] and ∇ₓf of states[i].
  virtual void energies_and_gradients(std::span<const float> states, std::span<float> f,
                                      std::span<float> gradients) = 0;

  /// f[i] of states[i], and theta_gradient += scale·Σᵢ ∂f(xᵢ)/∂θ.
  virtual void add_weight_gradient(std::span<const float> states, float scale, std::span<float> f,
                                   std::span<float> theta_gradient) = 0;

  /// Runs norm_sums.size() chains in place, θ fixed; adds each chain's Σ_steps ‖∇ₓf‖ to norm_sums.
  virtual void langevin(const LangevinSteps& run, std::span<float> states,
                        std::span<float> norm_sums) = 0;

  /// Runs all of `chains` in place, θ fixed, and records every step.
  virtual void sample(const SamplingSteps& run, const SamplingChains& chains) = 0;
};

/// The network on the CPU, by oneDNN; a perceptron on 1×1 states runs its chains fused, in float32.
/// A precision that the processor does not have is float32: bf16 asks for AVX-512's. θ must be set
/// before use.
std::unique_ptr<Energy> make_cpu_energy(const Network& network,
                                        Precision precision = Precision::fp32);

}  // namespace ebm
