// An energy on one CPU thread, for a tile of chains small enough to stay in its cache.
#pragma once

#include <cstdint>

#include "cuda/base/buffer.h"
#include "cuda/nn/chain_run.h"

namespace ebm {

/// f(x; θ) and its gradients for a tile of chains, with all the memory they need: nothing is
/// allocated after construction, but for what the first steps make for themselves. Used by one
/// thread at a time. States are chains × state size.
class TileEnergy {
 public:
  virtual ~TileEnergy() = default;

  /// The most chains that weight_gradient takes.
  virtual int capacity() const = 0;
  /// A batch in tiles of `tile` chains, the last of which may be fewer; then the last `singles`
  /// chains one at a time.
  struct Partition {
    std::int64_t tile = 1;
    std::int64_t singles = 0;
  };
  /// How a batch that `threads` threads share had best be given to the other functions.
  virtual Partition best_partition(std::int64_t batch, int threads) const {
    static_cast<void>(batch);
    static_cast<void>(threads);
    return {.tile = capacity()};
  }
  virtual std::int64_t state_size() const = 0;

  /// f for each chain.
  virtual void energies(const float* states, int chains, float* f) = 0;

  /// f and ∇ₓf for each chain.
  virtual void energies_and_gradients(const float* states, int chains, float* f,
                                      float* gradients) = 0;

  /// f for each chain, and gradient = scale·Σ_chains ∂f/∂θ (overwritten), gradient_values() values
  /// in an order of the energy's own: sums of several are put into θ's order once.
  virtual void weight_gradient(const float* states, int chains, float scale, float* f,
                               float* gradient) = 0;
  virtual std::int64_t gradient_values() const = 0;
  /// theta_gradient, in θ's order, += such a gradient, or a sum of them.
  virtual void add_in_order_of_parameters(float* gradient, float* theta_gradient) = 0;

  /// Langevin steps that are not recorded: one at a time, unless the energy can do better.
  virtual void langevin(const ChainRun& run, const Chains& chains);

 private:
  Buffer<float> step_energies_;  // of the largest tile so far
  Buffer<float> step_gradients_;
};

/// Steps of either kind, recorded.
void run_recorded(TileEnergy& energy, const ChainRun& run, const Chains& chains);

}  // namespace ebm
