// bfloat16 as a type of storage: the upper half of a float. Arithmetic is done in float.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/base/host_device.cuh"

namespace ebm {

/// The bits of cuDNN's and oneDNN's bfloat16.
struct Bfloat16 {
  std::uint16_t bits = 0;

  Bfloat16() = default;
  /// Rounds to the nearest, ties to even; a NaN stays one.
  EBM_HOST_DEVICE explicit Bfloat16(float value) {
    const auto whole = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (whole + 0x7fffU + ((whole >> 16) & 1U)) >> 16;
    const bool is_nan = (whole & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(is_nan ? (whole >> 16) | 0x40U : rounded);
  }
  EBM_HOST_DEVICE explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

}  // namespace ebm
