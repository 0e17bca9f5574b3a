// Inputs for numerical tests, and how far a float is from the exact result.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace ebm {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// What one float operation can be off by, relative to its result.
inline constexpr double kRounding = 0x1p-24;

/// n values spread over (−scale, scale), a pure function of the seed.
inline std::vector<float> numbers(std::size_t n, std::uint32_t seed, float scale = 1) {
  std::mt19937 words(seed);
  std::vector<float> values(n);
  for (float& value : values) {
    value = scale * (static_cast<float>(words() >> 8) * 0x1p-23F - 1.0F);
  }
  return values;
}

/// |value − exact| in units of the last place of a float near `exact` (0.5: correctly rounded).
inline double ulps(float value, double exact) {
  constexpr int kDigits = std::numeric_limits<float>::digits;
  constexpr int kLowestExponent = std::numeric_limits<float>::min_exponent - 1;
  const int exponent = exact == 0 ? kLowestExponent : std::max(std::ilogb(exact), kLowestExponent);
  return std::abs(static_cast<double>(value) - exact) / std::ldexp(1.0, exponent - (kDigits - 1));
}

}  // namespace ebm
