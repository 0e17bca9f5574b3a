// The loss of maximum likelihood by MCMC, and its gradient.
#pragma once

#include <cstddef>
#include <span>

#include "cuda/device/buffer.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// 2/ε², or 1 where ε is 0: what U is f times.
double energy_factor(float epsilon);

/// d_s = 2/ε²·(mean f(X⁺) − mean f(X⁻)), the energy difference of data and short-run samples; the
/// factor is 1 when ε = 0. Its gradient with respect to θ is that of the negative log-likelihood
/// where X⁻ has converged (equation 3 of the paper).
class EnergyDifference {
 public:
  explicit EnergyDifference(float epsilon);

  /// Returns d_s and writes ∂d_s/∂θ over theta_gradient. Both batches are whole numbers of states.
  /// Each batch is summed on its own and in the same order, so that what is the same in both, as
  /// the gradient of the last bias is, cancels exactly: Adam would make a full step of the
  /// rounding.
  double operator()(Energy& energy, std::span<const float> data, std::span<const float> samples,
                    std::span<float> theta_gradient);

  /// max |U| of all states of the last call, NaN when there is a NaN.
  double largest_energy() const;

 private:
  double factor_;
  Buffer<float> energies_;
  std::size_t count_ = 0;  // of the last call
  Buffer<float> sample_gradient_;
};

}  // namespace ebm
