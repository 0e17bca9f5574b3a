// Gaussian kernel density estimate of two-dimensional states on a square grid.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cuda/device/queue.h"

namespace ebm {

/// A density estimate, and how many states had to be left out of it.
struct KernelDensity {
  std::vector<float> density;  ///< [row = y, column = x], axis.size() squared
  std::size_t left_out = 0;    ///< states with a component that was NaN or infinite
};

/// The estimate (1/n) Σ_i N(x; state_i, H) at every point of the grid axis × axis, with
/// H = bandwidth² · C and C the sample covariance (divisor n − 1) of the states: the bandwidth is a
/// factor on the data's own spread, as a scalar `bw_method` is to scipy.stats.gaussian_kde.
///
/// states: n × 2, row-major (x, y). Non-finite ones are left out and counted; n is what remains.
/// bandwidth > 0; axis ascending. The density is zero everywhere when the remaining states do not
/// span the plane (fewer than three, or all on one point or line to within 1e-6 of the grid's
/// extent), for then there is no such density. The result is always finite, and the same bits
/// whatever the number of threads.
///
/// states, axis and the result are the host's, who waits for the queue to sum.
KernelDensity gaussian_kde(const Queue& queue, std::span<const float> states, double bandwidth,
                           std::span<const float> axis);

}  // namespace ebm
