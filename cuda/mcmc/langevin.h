// Langevin sampling of a batch of chains at fixed θ.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "cuda/device/buffer.h"
#include "cuda/nn/energy.h"
#include "cuda/random/philox.cuh"

namespace ebm {

/// Unadjusted Langevin dynamics: x ← clamp(x − ∇ₓf(x) + ε·z), as LangevinUpdate.
class LangevinSampler {
 public:
  explicit LangevinSampler(float epsilon) { update_.epsilon = epsilon; }
  /// Clamps every component to [lowest, highest] after each step from now on.
  void clamp_to(float lowest, float highest) {
    update_.lowest = lowest;
    update_.highest = highest;
  }

  /// Runs steps first_step … first_step + steps − 1 of every chain in `states`, in place; the noise
  /// is the stream's. Returns the gradient strength of these steps,
  ///   r_s = (1/L) Σ_ℓ mean over chains of ‖∇ₓf(x_ℓ)‖₂, x_ℓ the state before step ℓ.
  double run(Energy& energy, const RandomStream& noise, std::uint32_t first_step, int steps,
             std::span<float> states);

  /// The same, but asks `stop` now and then, after numbers of steps that depend on the sizes alone.
  /// Once it says true, returns nothing; `states` then are somewhere on the way.
  std::optional<double> run(Energy& energy, const RandomStream& noise, std::uint32_t first_step,
                            int steps, std::span<float> states, const std::function<bool()>& stop);

 private:
  LangevinUpdate update_;
  Buffer<float> norm_sums_;  // one a chain
};

}  // namespace ebm
