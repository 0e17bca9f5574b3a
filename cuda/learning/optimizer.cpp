#include "cuda/learning/optimizer.h"

#include <algorithm>
#include <cassert>

#include "cuda/kernels/optimizer.cuh"

namespace ebm {

Optimizer::Optimizer(Kind kind, std::int64_t parameter_count)
    : kind_(kind),
      first_(kind == Kind::adam ? static_cast<std::size_t>(parameter_count) : 0),
      second_(first_.size()) {}

void Optimizer::step(double learning_rate, std::span<const float> gradient,
                     std::span<float> parameters) {
  assert(gradient.size() == parameters.size());
  ++steps_;
  if (kind_ == Kind::sgd) {
    sgd_step({static_cast<float>(learning_rate)}, std::ssize(parameters), gradient.data(),
             parameters.data());
  } else {
    adam_step(AdamStep::at(learning_rate, steps_), std::ssize(parameters), gradient.data(),
              parameters.data(), first_.data(), second_.data());
  }
}

void Optimizer::restore(std::int64_t steps, std::span<const float> first_moments,
                        std::span<const float> second_moments) {
  assert(first_moments.size() == first_.size() && second_moments.size() == second_.size());
  steps_ = steps;
  std::ranges::copy(first_moments, first_.data());
  std::ranges::copy(second_moments, second_.data());
}

}  // namespace ebm
