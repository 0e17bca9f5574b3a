// The energy f(x; θ) of a batch of states in a CUDA device's memory. In builds with CUDA only.
#pragma once

#include <cstdint>

#include "cuda/nn/tile_energy.h"

namespace ebm {

/// An energy compiled for a device. Pointers are the device's; all work is enqueued on one stream,
/// and nothing is allocated and nobody waits after construction. States are count × state_size()
/// floats, channel-major, of 1 … capacity() states in one call. The same bits every time.
class DeviceEnergy {
 public:
  DeviceEnergy() = default;
  virtual ~DeviceEnergy() = default;
  DeviceEnergy(const DeviceEnergy&) = delete;
  DeviceEnergy& operator=(const DeviceEnergy&) = delete;

  virtual std::int64_t state_size() const = 0;
  virtual std::int64_t capacity() const = 0;

  /// Takes a new θ, in force until the next call. What is at `theta` is copied.
  virtual void set_parameters(const float* theta) = 0;

  /// f of each state.
  virtual void energies(const float* states, std::int64_t count, float* f) = 0;

  /// f and ∇ₓf of each state.
  virtual void energies_and_gradients(const float* states, std::int64_t count, float* f,
                                      float* gradients) = 0;

  /// f of each state, and theta_gradient = scale·Σ ∂f/∂θ, the whole of θ, overwritten.
  virtual void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                               float* theta_gradient) = 0;

  /// Runs `chains` chains in place, numbered from first_chain in the noise, and adds each chain's
  /// Σ_steps ‖∇ₓf‖ to norm_sums. run.given_noise, when not null, is the device's.
  virtual void langevin(const LangevinSteps& run, std::uint32_t first_chain, std::int64_t chains,
                        float* states, float* norm_sums) = 0;
};

}  // namespace ebm
