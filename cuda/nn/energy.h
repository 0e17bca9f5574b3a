// The energy f(x; θ) of a batch of states, on a device.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"
#include "cuda/nn/chain_run.h"

namespace ebm {

/// An energy compiled for a device, and its work in the order of a queue. p(x) ∝ exp(−U(x)),
/// U = f/(ε²/2): low f is likely. States are count × state_size() floats, channel-major. Pointers
/// are where the queue computes. The same bits every time.
class Energy {
 public:
  Energy() = default;
  virtual ~Energy() = default;
  Energy(const Energy&) = delete;
  Energy& operator=(const Energy&) = delete;

  virtual const Queue& queue() const = 0;
  virtual std::int64_t state_size() const = 0;
  /// The most states in a call of energies, energies_and_gradients or weight_gradient.
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

  /// Runs chains in place, any number of them. A device makes one captured graph of the steps of a
  /// recorded run: fifty are enough. Throws std::invalid_argument for MALA that is not recorded.
  virtual void run(const ChainRun& run, const Chains& chains) = 0;
};

}  // namespace ebm
