// How far samples are from data, by their features: as laws, and as clouds of points.
#pragma once

#include <cstdint>
#include <span>

namespace ebm {

/// Distances of samples y_1 … y_m from a reference set x_1 … x_n.
///
/// - frechet: ‖μ_x − μ_y‖² + tr(C_x + C_y − 2 (C_x^½ C_y C_x^½)^½), the squared distance of the
///   Gaussians that have the sets' means and covariances (Dowson and Landau 1982), which of the
///   features of an Inception network is FID (Heusel et al. 2017). Covariances are over n − 1.
///   Biased upwards, by less the larger the sets: compare it between sets of equal sizes only.
/// - mmd: the squared maximum mean discrepancy, unbiased (Gretton et al. 2012, lemma 6),
///
///       Σ_{i≠j} k(x_i, x_j)/(n(n−1)) + Σ_{i≠j} k(y_i, y_j)/(m(m−1)) − 2 Σ_{i,j} k(x_i, y_j)/(nm)
///
///   with k(x, y) = exp(−‖x − y‖²/(2s²)), s the median of the distances of all pairs among
///   min(n, 1000) rows of the reference set, ⌊i n / 1000⌋ where there are more (the upper one of
///   two middle distances). It may be negative.
/// - mmd_error: the standard deviation that mmd has about 0 where both sets are independent draws
///   of the reference set's law,
///
///       √((2/(n(n−1)) + 2/(m(m−1)) + 4/(nm)) E k̃(x, x')²)
///
///   k̃ the kernel centred under that law; exact but for the expectation, whose unbiased estimate
///   from the reference set is used (Song et al. 2012, "Feature selection via dependence
///   maximization"). Whatever the law, mmd > c mmd_error has then a probability of at most
///   1/(1 + c²) (Cantelli). States of one chain are not independent, nor is the first part of a
///   data set that comes in some order.
/// - precision, recall (Kynkäänniemi et al. 2019): the share of samples within the distance of some
///   reference row to its k-th nearest other reference row, k = `neighbours`: are samples like
///   data? And the same with the sets exchanged: is all of the data among the samples?
///
/// NaN: all of them where a value is not finite or above 1e15 in size, or where a set has fewer
/// than 4 rows or not more than `neighbours`; mmd and its error where s is below 1e-15.
struct SampleDistances {
  double frechet = 0;
  double mmd = 0;
  double mmd_error = 0;
  double precision = 0;
  double recall = 0;
};

/// Rows of `features` values each. The same bits for any number of threads, in O(n + m) memory and
/// O((n + m)² features) time; the order of rows changes only rounding and, in more than 1000
/// reference rows, s. Throws std::invalid_argument where there are no such rows.
SampleDistances sample_distances(std::span<const float> reference, std::span<const float> samples,
                                 std::int64_t features, int neighbours = 3);

}  // namespace ebm
