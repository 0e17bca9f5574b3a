// The numbers of an iteration, and whether learning may go on, computed and kept on the device. In
// builds with CUDA only.
//
// Enqueued on a stream; the pointers are the device's. Sums are taken in double, in an order that
// depends on their length alone.
#pragma once

#include <cstdint>

#include "cuda/learning/learning_limits.cuh"

namespace ebm {

class CudaStream;

/// What the device notes of one iteration.
struct IterationRecord {
  double d_s;
  double r_s;
  double largest_energy;
  float largest_weight;
  Fault fault;
};

/// Whether learning has come apart. Both are 0 until then.
struct LearningAlarm {
  std::uint32_t* stopped;  ///< in the device's memory: iterations leave no trace from then on
  std::uint32_t* heard;    ///< in pinned memory of the host, who may look at it at any time
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

/// Fills all of *record but the weights, and sounds the alarm when a number is beyond its limit.
void record_iteration(const CudaStream& stream, const IterationSums& sums,
                      const LearningLimits& limits, const LearningAlarm& alarm,
                      IterationRecord* record);

/// The same for max |θ| after its step, `largest`.
void record_weights(const CudaStream& stream, const float* largest, const LearningLimits& limits,
                    const LearningAlarm& alarm, IterationRecord* record);

/// data_gradient −= chain_gradient, for n values.
void subtract(const CudaStream& stream, std::int64_t n, const float* chain_gradient,
              float* data_gradient);

}  // namespace ebm
