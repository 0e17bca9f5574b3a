// The loss of maximum likelihood by MCMC, and its gradient.
#pragma once

#include <cstdint>

#include "cuda/device/array.h"
#include "cuda/nn/energy.h"
#include "cuda/random/shard.h"

namespace ebm {

/// 2/ε², or 1 where ε is 0: what U is f times.
double energy_factor(float epsilon);

/// d_s = 2/ε²·(mean f(X⁺) − mean f(X⁻)), the energy difference of data and short-run samples. Its
/// gradient with respect to θ is that of the negative log-likelihood where X⁻ has converged
/// (equation 3 of the paper). Two batches of one size; pointers are where the energy computes.
class EnergyDifference {
 public:
  /// For a shard of both batches, which takes its part in their means. The energy is borrowed, and
  /// takes the shard in one call.
  EnergyDifference(Energy& energy, float epsilon, const Shard& shard, std::int64_t parameters);

  /// What U is f times.
  double factor() const { return factor_; }

  /// Gives the energy's queue f of both batches to compute, and ∂d_s/∂θ. Each batch is summed on
  /// its own and in the same order, so that what is the same in both, as the gradient of the last
  /// bias is, cancels exactly: Adam would make a full step of the rounding.
  void compute(const float* data, const float* samples);

  // What the last call has computed.
  const float* data_f() const { return data_f_.data(); }
  const float* sample_f() const { return sample_f_.data(); }
  const float* gradient() const { return gradient_.data(); }

 private:
  Energy& energy_;
  double factor_;
  Shard shard_;
  Array<float> data_f_;
  Array<float> sample_f_;
  Array<float> gradient_;
  Array<float> sample_gradient_;
};

}  // namespace ebm
