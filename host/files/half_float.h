// The two 16-bit floating-point types that weights are stored in. Every number of either is a
// float.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ebm {

/// IEEE 754's binary16: a sign, 5 bits of exponent, 10 of fraction.
struct Float16 {
  std::uint16_t bits = 0;

  explicit operator float() const {
    const int exponent = bits >> 10 & 0x1F;
    const int fraction = bits & 0x3FF;
    float size = std::ldexp(static_cast<float>(fraction), -24);  // subnormal
    if (exponent == 0x1F) {
      size = fraction != 0 ? std::numeric_limits<float>::quiet_NaN()
                           : std::numeric_limits<float>::infinity();
    } else if (exponent != 0) {
      size = std::ldexp(static_cast<float>(0x400 | fraction), exponent - 25);
    }
    return (bits & 0x8000) != 0 ? -size : size;
  }
};

/// The upper half of a float.
struct StoredBfloat16 {
  std::uint16_t bits = 0;

  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

}  // namespace ebm
