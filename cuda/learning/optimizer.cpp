#include "cuda/learning/optimizer.h"

#include "cuda/kernels/optimizer.cuh"

namespace ebm {

Optimizer::Optimizer(const Queue& queue, OptimizerState& state)
    : queue_(queue),
      state_(&state),
      first_(queue, state.first_moments.span()),
      second_(queue, state.second_moments.span()) {}

void Optimizer::step(double learning_rate, std::int64_t n, const float* gradient, float* parameters,
                     const std::uint32_t* stopped) {
  ++state_->steps;
  if (state_->kind == OptimizerState::Kind::sgd) {
    sgd_step(queue_, {static_cast<float>(learning_rate)}, n, gradient, parameters, stopped);
  } else {
    adam_step(queue_, AdamStep::at(learning_rate, state_->steps), n, gradient, parameters,
              first_.data(), second_.data(), stopped);
  }
}

void Optimizer::read_back() const {
  first_.read_back(queue_);
  second_.read_back(queue_);
}

}  // namespace ebm
