// The toy densities on a grid, the density a toy energy defines, and how far the two are apart.
//
// A grid is one ascending, evenly spaced axis used for both coordinates. A function on it is an
// array of axis.size() squared values, [row = y, column = x]. Integrals are Riemann sums over the
// grid.
#pragma once

#include <span>
#include <vector>

namespace ebm {

/// A mixture of `groups` equally weighted components in the plane, with K = groups, R = radius:
/// - gmm:   N(m_k, sd² I), m_k = R (cos 2πk/K, sin 2πk/K), k = 0 … K−1;
/// - rings: radius r ~ N(R(k+1), sd²), angle uniform; the density in the plane is
///          Σ_k (1/K) N(r; R(k+1), sd²) / (2πR(k+1)).
struct ToyDensity {
  enum class Kind { gmm, rings };

  Kind kind = Kind::gmm;
  int groups = 8;
  double sd = 0.15;
  double radius = 1.0;

  /// The density at (x, y).
  double at(double x, double y) const;

  /// Half the side of the square window, centred on 0, that landscapes show: it reaches 4 sd beyond
  /// the outermost component's centre line.
  double half_width() const;
};

/// `resolution` >= 2 evenly spaced values from -half_width to half_width, both included.
std::vector<float> grid_axis(double half_width, int resolution);

/// The grid's points as states, n × 2 row-major (x, y), in the order of the arrays above.
std::vector<float> grid_states(std::span<const float> axis);

/// truth.at() at every point of the grid.
std::vector<float> true_density(const ToyDensity& truth, std::span<const float> axis);

/// exp(−U) / Σ exp(−U) dA, U = f / (ε²/2), or U = f where epsilon is 0: the density that the
/// network outputs f on the grid define. A NaN in f makes all of it NaN.
std::vector<float> learned_density(std::span<const float> f, double epsilon,
                                   std::span<const float> axis);

/// KL(p ‖ q) = Σ p log(p / q) dA in nats, q the learned density of f. Both are normalized on the
/// grid, so p may be unnormalized. log q comes from f and never from q, so the result is finite
/// wherever f is, however small q. A NaN in f or p makes it NaN.
double kl_divergence(std::span<const float> p, std::span<const float> f, double epsilon);

/// ∫ |p − q| over the grid: 0 for equal densities, 2 for densities that do not overlap.
double l1_distance(std::span<const float> p, std::span<const float> q, std::span<const float> axis);

}  // namespace ebm
