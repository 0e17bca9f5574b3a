// The normal distribution's quantiles.
#pragma once

#include <cmath>

#include "cuda/base/host_device.cuh"

namespace ebm {

/// Φ⁻¹(p), 0 < p < 1, to a relative error of 1e-12 or so: Abramowitz and Stegun's 26.2.23, good to
/// 5e-4, and two steps of Halley's method.
EBM_HOST_DEVICE double normal_quantile(double p) {
  constexpr double kSqrt2 = 1.4142135623730950488;
  constexpr double kSqrt2Pi = 2.5066282746310005024;
  const double tail = p < 0.5 ? p : 1 - p;
  const double t = std::sqrt(-2 * std::log(tail));
  double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                     (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int step = 0; step < 2; ++step) {  // Φ(−z) = tail
    const double density = std::exp(-z * z / 2) / kSqrt2Pi;
    const double newton = (std::erfc(z / kSqrt2) / 2 - tail) / density;
    z += newton / (1 - z * newton / 2);
  }
  return p < 0.5 ? -z : z;
}

}  // namespace ebm
