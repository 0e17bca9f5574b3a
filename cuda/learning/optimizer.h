// Steps of θ against the gradient of d_s.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/buffer.h"

namespace ebm {

/// SGD without momentum, or Adam with β = (0.9, 0.999); see AdamStep. Owns the moments.
class Optimizer {
 public:
  enum class Kind { sgd, adam };

  Optimizer(Kind kind, std::int64_t parameter_count);

  /// One step at this learning rate. Both spans hold the parameters given at construction.
  void step(double learning_rate, std::span<const float> gradient, std::span<float> parameters);

 private:
  Kind kind_;
  std::int64_t steps_ = 0;
  Buffer<float> first_;
  Buffer<float> second_;
};

}  // namespace ebm
