// The normal distribution's quantiles.
#pragma once

namespace ebm {

/// Φ⁻¹(p), 0 < p < 1, to a relative error of 1e-12 or so.
double normal_quantile(double p);

}  // namespace ebm
