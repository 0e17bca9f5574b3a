// When learning has diverged.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"

namespace ebm {

/// The number of an iteration that is not finite or beyond its limit; the first of these that is.
enum class Fault : std::uint32_t { none, energy_difference, gradient_strength, energy, weight };

/// The largest sizes that are taken for learning.
struct LearningLimits {
  double energy_difference = 0;  ///< |d_s|
  double gradient_strength = 0;  ///< r_s
  double energy = 0;             ///< |U| of any state
  double weight = 0;             ///< of any component of θ

  /// NaN and infinity are beyond any limit.
  EBM_HOST_DEVICE static bool is_within(double value, double limit) {
    return value <= limit && -value <= limit && value - value == 0;
  }
  /// What is found before θ's step.
  EBM_HOST_DEVICE Fault check(double d_s, double r_s, double largest_energy) const {
    return !is_within(d_s, energy_difference)   ? Fault::energy_difference
           : !is_within(r_s, gradient_strength) ? Fault::gradient_strength
           : !is_within(largest_energy, energy) ? Fault::energy
                                                : Fault::none;
  }
  /// And after it.
  EBM_HOST_DEVICE Fault check_weight(double largest_weight) const {
    return is_within(largest_weight, weight) ? Fault::none : Fault::weight;
  }
};

}  // namespace ebm
