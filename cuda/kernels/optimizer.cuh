// One step of SGD or Adam over all parameters at once.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/device/queue.h"

namespace ebm {

/// θ ← θ − rate·g.
struct SgdStep {
  float rate = 0;

  EBM_HOST_DEVICE float operator()(float parameter, float gradient) const {
    return parameter - rate * gradient;
  }
};

/// Adam (Kingma and Ba, 2015) with the published defaults, as PyTorch computes it: δ is added
/// outside the square root, no weight decay.
struct AdamStep {
  static constexpr float kOneMinusBeta1 = 0.1F;
  static constexpr float kBeta2 = 0.999F;
  static constexpr float kOneMinusBeta2 = 0.001F;  ///< rounded once; 1.0F − kBeta2 is 1.3e-5 off
  static constexpr float kDelta = 1e-8F;

  float rate = 0;          ///< learning rate / (1 − β₁^t)
  float second_scale = 1;  ///< 1 / √(1 − β₂^t)

  /// The step number t counts from 1.
  static AdamStep at(double learning_rate, std::int64_t t) {
    const auto n = static_cast<double>(t);
    return {.rate = static_cast<float>(learning_rate / (1.0 - std::pow(0.9, n))),
            .second_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(0.999, n)))};
  }

  /// Updates the moments and returns the new parameter.
  EBM_HOST_DEVICE float operator()(float parameter, float gradient, float& first,
                                   float& second) const {
    first += kOneMinusBeta1 * (gradient - first);
    second = kBeta2 * second + kOneMinusBeta2 * gradient * gradient;
    return parameter - rate * first / (std::sqrt(second) * second_scale + kDelta);
  }
};

/// A step of n parameters. Pointers are where the queue computes. Does nothing where `stopped` is
/// not null and what it points to is not 0 by then.
void sgd_step(const Queue& queue, const SgdStep& step, std::int64_t n, const float* gradient,
              float* parameters, const std::uint32_t* stopped = nullptr);

/// first, second: the moments, n each, zero before the first step.
void adam_step(const Queue& queue, const AdamStep& step, std::int64_t n, const float* gradient,
               float* parameters, float* first, float* second,
               const std::uint32_t* stopped = nullptr);

}  // namespace ebm
