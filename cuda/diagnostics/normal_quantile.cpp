#include "cuda/diagnostics/normal_quantile.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ebm {

/// Abramowitz and Stegun's 26.2.23, good to 5e-4, and two steps of Halley's method.
double normal_quantile(double p) {
  const double tail = std::min(p, 1 - p);
  const double t = std::sqrt(-2 * std::log(tail));
  double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                     (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int step = 0; step < 2; ++step) {  // Φ(−z) = tail
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double newton = (std::erfc(z / std::numbers::sqrt2) / 2 - tail) / density;
    z += newton / (1 - z * newton / 2);
  }
  return p < 0.5 ? -z : z;
}

}  // namespace ebm
