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

  /// Steps taken so far.
  std::int64_t steps() const { return steps_; }
  /// Adam's moments, one a parameter; none of SGD.
  std::span<const float> first_moments() const { return first_.span(); }
  std::span<const float> second_moments() const { return second_.span(); }
  /// Goes on from these, which an optimizer of this kind and size had.
  void restore(std::int64_t steps, std::span<const float> first_moments,
               std::span<const float> second_moments);

 private:
  Kind kind_;
  std::int64_t steps_ = 0;
  Buffer<float> first_;
  Buffer<float> second_;
};

}  // namespace ebm
