// The numbers of an iteration, and whether learning may go on, computed where the chains are.
//
// Work of a queue; pointers are where it computes. Sums are taken in double: on the CPU from the
// first to the last, on a device in an order that depends on their length alone.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"
#include "cuda/learning/learning_limits.cuh"

namespace ebm {

/// What an iteration comes to.
struct IterationNumbers {
  double mean_f_data = 0;     ///< f, not U: d_s is their difference times 2/ε², or 1
  double mean_f_samples = 0;  ///< of the chains after their steps
  double d_s = 0;
  double r_s = 0;
  double largest_energy = 0;  ///< max |U| of both batches
  float largest_weight = 0;   ///< max |θ| after the step; 0 when there was none
  Fault fault = Fault::none;
};

/// Whether learning has diverged. Both are 0 until then.
struct DivergedFlag {
  std::uint32_t* there;  ///< where the queue computes: iterations leave no trace from then on
  std::uint32_t* here;   ///< the host's, who may look at it at any time
};

/// The batches of an iteration after sampling.
struct IterationSums {
  double factor = 1;       ///< 2/ε², or 1
  std::int64_t batch = 0;  ///< states of each
  int steps = 0;           ///< of each chain
  const float* data_f;
  const float* chain_f;
  const float* norm_sums;  ///< each chain's Σ ‖∇ₓf‖
};

/// Fills all of *numbers but the weight, and raises the flag when a number is beyond its limit.
void sum_up_iteration(const Queue& queue, const IterationSums& sums, const LearningLimits& limits,
                      const DivergedFlag& diverged, IterationNumbers* numbers);

/// The same for max |θ| after its step, `largest`, if there was one.
void sum_up_weights(const Queue& queue, const float* largest, const LearningLimits& limits,
                    const DivergedFlag& diverged, IterationNumbers* numbers);

/// from −= values, for n values.
void subtract(const Queue& queue, std::int64_t n, const float* values, float* from);

}  // namespace ebm
