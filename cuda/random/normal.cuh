// Uniform and normal numbers from random words, without branches or tables, so that a GPU thread
// and a CPU's vector lane run the same arithmetic.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

/// Four float values: one Philox block's worth.
struct Floats4 {
  float v[4];
};

/// Uniform on (0, 1]: cuRAND's mapping, word·2^-32 + 2^-33.
EBM_HOST_DEVICE float uniform(std::uint32_t word) {
  return static_cast<float>(word) * 0x1p-32F + 0x1p-33F;
}

/// Uniform on [−1, 1].
EBM_HOST_DEVICE float uniform_symmetric(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word)) * 0x1p-31F + 0x1p-32F;
}

/// Natural logarithm of a positive normal float, within 1 ulp.
/// Polynomial: Cephes `logf` (S. L. Moshier, Methods and Programs for Mathematical Functions,
/// 1989).
EBM_HOST_DEVICE float log_positive(float x) {
  // x = m·2^e with m in [√½, √2), so that log is 0 at 1 without cancellation.
  constexpr std::uint32_t kSqrtHalf = 0x3f3504f3U;
  const std::uint32_t shifted = std::bit_cast<std::uint32_t>(x) - kSqrtHalf;
  const auto exponent = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  const float f = std::bit_cast<float>((shifted & 0x007fffffU) + kSqrtHalf) - 1.0F;
  const float z = f * f;
  float p = 7.0376836292e-2F;
  p = p * f - 1.1514610310e-1F;
  p = p * f + 1.1676998740e-1F;
  p = p * f - 1.2420140846e-1F;
  p = p * f + 1.4249322787e-1F;
  p = p * f - 1.6668057665e-1F;
  p = p * f + 2.0000714765e-1F;
  p = p * f - 2.4999993993e-1F;
  p = p * f + 3.3333331174e-1F;
  float y = p * f * z;
  y += exponent * -2.12194440e-4F;
  y -= 0.5F * z;
  return f + y + exponent * 0.693359375F;
}

/// sin and cos of 2π·word/2^32, within 3 ulp. The quadrant is taken from the integer, exactly; the
/// polynomials on [−π/4, π/4] are Cephes `sinf` and `cosf`.
EBM_HOST_DEVICE void sin_cos_turn(std::uint32_t word, float& sine, float& cosine) {
  const std::uint32_t quadrant = (word + 0x20000000U) >> 30;
  const auto rest = static_cast<std::int32_t>(word - (quadrant << 30));
  const float a = static_cast<float>(rest) * (6.28318530717958648F * 0x1p-32F);
  const float z = a * a;
  const float s = ((-1.9515295891e-4F * z + 8.3321608736e-3F) * z - 1.6666654611e-1F) * z * a + a;
  const float c =
      ((2.443315711809948e-5F * z - 1.388731625493765e-3F) * z + 4.166664568298827e-2F) * z * z -
      0.5F * z + 1.0F;
  const bool swap = (quadrant & 1U) != 0;
  const float sine_magnitude = swap ? c : s;
  const float cosine_magnitude = swap ? s : c;
  sine = (quadrant & 2U) != 0 ? -sine_magnitude : sine_magnitude;
  cosine = ((quadrant + 1U) & 2U) != 0 ? -cosine_magnitude : cosine_magnitude;
}

/// Two independent N(0, 1) from two words: Box and Muller (1958).
EBM_HOST_DEVICE void box_muller(std::uint32_t radius_word, std::uint32_t angle_word, float& first,
                                float& second) {
  float sine;
  float cosine;
  sin_cos_turn(angle_word, sine, cosine);
  const float radius = std::sqrt(-2.0F * log_positive(uniform(radius_word)));
  first = radius * sine;
  second = radius * cosine;
}

/// Four independent N(0, 1), paired as cuRAND's curand_normal4 pairs them.
EBM_HOST_DEVICE Floats4 normals(const Words4& words) {
  Floats4 z;
  box_muller(words.v[0], words.v[1], z.v[0], z.v[1]);
  box_muller(words.v[2], words.v[3], z.v[2], z.v[3]);
  return z;
}

}  // namespace ebm
