// The leading principal components of data: a space to compare samples in, and the Gaussian that
// has the data's moments.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ebm {

/// Probabilistic principal components (Tipping and Bishop 1999): the law N(μ, C) on R^d with
///
///     C = Σ_i λ_i w_i w_iᵀ + σ² (I − Σ_i w_i w_iᵀ)      i = 1 … k
///
/// where μ is the data's mean, λ_1 ≥ … ≥ λ_k and w_i are the largest eigenvalues and eigenvectors
/// of their covariance (sums over n, not n − 1: maximum likelihood), and σ² is the mean of the
/// other d − k eigenvalues. The entry of w_i that is largest in size is positive.
///
/// Of up to 256 dimensions the eigenvectors are exact. Beyond, they are found by subspace iteration
/// from a random start (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.3): the λ_i come out
/// a little too small where the spectrum is flat, σ² by as much too large, and the law's total
/// variance right.
///
/// The same bits for any number of threads.
class PrincipalComponents {
 public:
  /// `states` holds n ≥ 2 rows of `dimensions` values. There are as many components as asked for,
  /// but at most `dimensions` and at most n − 1. Throws std::invalid_argument for other shapes and
  /// for values that are not finite.
  static PrincipalComponents fit(std::span<const float> states, std::int64_t dimensions,
                                 std::int64_t components, std::uint64_t seed);

  std::int64_t dimensions() const { return static_cast<std::int64_t>(mean_.size()); }
  std::int64_t components() const { return static_cast<std::int64_t>(variances_.size()); }

  const std::vector<double>& mean() const { return mean_; }            ///< μ
  const std::vector<double>& variances() const { return variances_; }  ///< λ, descending
  double residual_variance() const { return residual_variance_; }      ///< σ²; 0 where k = d

  /// w_iᵀ(x − μ): rows × components(). NaN in the rows of states that are not finite.
  std::vector<float> project(std::span<const float> states) const;

  /// log N(x; μ, C) in nats, a number a row. NaN for states that are not finite, and for all where
  /// C has no inverse: the smallest of λ_k and σ² is no more than 1e-12 of the largest.
  std::vector<double> log_densities(std::span<const float> states) const;

 private:
  PrincipalComponents() = default;

  std::vector<double> mean_;
  std::vector<double> variances_;
  std::vector<double> axes_;  ///< components × dimensions
  double residual_variance_ = 0;
};

}  // namespace ebm
