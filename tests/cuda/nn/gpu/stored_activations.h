// Activations as kernels store them: float or Bfloat16.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "tests/support/numbers.h"

namespace ebm {

/// What storing a value as T can be off by, relative to it.
template <class T>
inline constexpr double kStorageRounding = std::is_same_v<T, Bfloat16> ? 0x1p-8 : 0.0;

template <class T>
std::vector<T> stored(const std::vector<float>& values) {
  std::vector<T> out;
  for (const float value : values) {
    out.push_back(static_cast<T>(value));
  }
  return out;
}

template <class T>
std::vector<float> floats(const std::vector<T>& values) {
  std::vector<float> out;
  for (const T value : values) {
    out.push_back(static_cast<float>(value));
  }
  return out;
}

/// numbers(), stored.
template <class T>
std::vector<T> stored_numbers(std::size_t n, std::uint32_t seed) {
  return stored<T>(numbers(n, seed));
}

/// A sum in double, and what a float kernel's can be off by.
struct ExactSum {
  double value = 0;
  double magnitude = 0;  ///< Σ |terms|
  int terms = 0;

  void add(double term) {
    value += term;
    magnitude += std::abs(term);
    ++terms;
  }
  /// Each term may pass through all additions and three more roundings (a LeakyReLU' on either side
  /// and its own product); then the sum is stored as T.
  template <class T>
  double error() const {
    const double of_sum = (terms + 3) * kRounding * magnitude;
    return of_sum + kStorageRounding<T> * (std::abs(value) + of_sum);
  }
};

/// Columns [begin, begin + width), of rows of `stride`, are within `bound` of the exact ones'
/// largest, and the rounding of their type.
template <class T>
void expect_columns_near(const std::vector<T>& values, const std::vector<double>& exact,
                         std::int64_t begin, std::int64_t width, std::int64_t stride, double bound,
                         const std::string& what) {
  ASSERT_EQ(values.size(), exact.size()) << what;
  double largest = 0;
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const auto column = static_cast<std::int64_t>(i) % stride - begin;
    if (column >= 0 && column < width) {
      const double off = std::abs(static_cast<double>(static_cast<float>(values[i])) - exact[i]);
      largest = std::max(largest, std::abs(exact[i]));
      worst = std::max(worst,
                       std::isnan(off) ? HUGE_VAL : off - kStorageRounding<T> * std::abs(exact[i]));
    }
  }
  EXPECT_LE(worst, bound * largest) << what;
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0) << what;
}

}  // namespace ebm
