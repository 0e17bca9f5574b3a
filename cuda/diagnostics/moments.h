// The mean of numbers, and how much they vary.
#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>

namespace ebm {

struct Moments {
  double mean = 0;
  double deviation = 0;  ///< √(Σ (x − x̄)²/(n − 1))

  /// The mean's, of n independent numbers.
  double standard_error(std::size_t n) const {
    return deviation / std::sqrt(static_cast<double>(n));
  }
};

/// Of two numbers or more, summed in double precision in their order.
template <class Number>
Moments moments(std::span<const Number> values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const Number value : values) {
    const double off = static_cast<double>(value) - mean;
    squares += off * off;
  }
  return {.mean = mean, .deviation = std::sqrt(squares / (n - 1))};
}

}  // namespace ebm
