// Activations as kernels store them: float or Bfloat16.
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "tests/numbers.h"

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

}  // namespace ebm
