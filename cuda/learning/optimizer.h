// Steps of θ against the gradient of d_s.
#pragma once

#include <cstdint>

#include "cuda/device/array.h"

namespace ebm {

/// SGD without momentum, or Adam with β = (0.9, 0.999), and where it has come; see AdamStep.
struct OptimizerState {
  enum class Kind { sgd, adam };

  OptimizerState() = default;
  OptimizerState(Kind kind_of_steps, std::int64_t parameters)
      : kind(kind_of_steps),
        first_moments(kind == Kind::adam ? static_cast<std::size_t>(parameters) : 0),
        second_moments(first_moments.size()) {}

  Kind kind = Kind::sgd;
  std::int64_t steps = 0;       ///< taken so far
  Buffer<float> first_moments;  ///< Adam's, one a parameter; none of SGD
  Buffer<float> second_moments;
};

/// Steps where a queue computes.
class Optimizer {
 public:
  /// Goes on from a state, which is borrowed; a device works on a copy of its moments.
  Optimizer(const Queue& queue, OptimizerState& state);

  /// One step of n parameters at this learning rate; pointers are where the queue computes. Nothing
  /// happens where `stopped` is not null and what it points to is not 0 by then.
  void step(double learning_rate, std::int64_t n, const float* gradient, float* parameters,
            const std::uint32_t* stopped = nullptr);

  /// The last `steps` steps have not happened: they were stopped.
  void take_back(std::int64_t steps) { state_->steps -= steps; }
  /// Gives the queue the work to bring the state up to date.
  void read_back() const;

 private:
  Queue queue_;
  OptimizerState* state_;
  Mirror<float> first_;
  Mirror<float> second_;
};

}  // namespace ebm
