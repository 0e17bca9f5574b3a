// Tests of goodness of fit, with bounds that a correct program passes but for a stated false-alarm
// rate.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

namespace ebm {

/// The chance that a correct program would fail one comparison, were its seed drawn anew.
inline constexpr double kFalseAlarm = 1e-6;

/// How many standard errors a mean may be off: P(|N(0, 1)| > 4.9) = 9.6e-7, kFalseAlarm.
inline constexpr double kStandardErrors = 4.9;

inline double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

/// Pearson's Σ (observed − expected)² / expected.
inline double chi_square(std::span<const double> observed, std::span<const double> expected) {
  double sum = 0;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    sum += (observed[i] - expected[i]) * (observed[i] - expected[i]) / expected[i];
  }
  return sum;
}

/// The same when all cells are equally likely.
inline double chi_square_uniform(std::span<const double> observed) {
  double total = 0;
  for (const double count : observed) {
    total += count;
  }
  const std::vector<double> expected(observed.size(), total / static_cast<double>(observed.size()));
  return chi_square(observed, expected);
}

/// What χ² of `degrees` degrees of freedom exceeds with a chance below kFalseAlarm: Laurent and
/// Massart (2000), lemma 1.
inline double chi_square_bound(std::size_t degrees) {
  const auto k = static_cast<double>(degrees);
  const double x = -std::log(kFalseAlarm);
  return k + 2 * std::sqrt(k * x) + 2 * x;
}

/// Kolmogorov and Smirnov's sup |F_n − F| of a sample from the law with distribution function F.
template <class Cdf>
double kolmogorov_smirnov(std::vector<double> sample, const Cdf& cdf) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double distance = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double f = cdf(sample[i]);
    const auto rank = static_cast<double>(i);
    distance = std::max({distance, f - rank / n, (rank + 1) / n - f});
  }
  return distance;
}

/// What that distance exceeds with a chance below kFalseAlarm: Massart (1990).
inline double kolmogorov_smirnov_bound(std::size_t n) {
  return std::sqrt(std::log(2 / kFalseAlarm) / (2 * static_cast<double>(n)));
}

}  // namespace ebm
