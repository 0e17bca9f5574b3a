// Softmax over the rows of a matrix, forward and backward, on the CPU: the attention of a non-local
// block. (On a device, attention.cuh takes the exponential from here.)
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/base/host_device.cuh"

namespace ebm {

/// e^x for x ≤ 0, without branches, so that it runs in vector lanes; 0 below −87; NaN stays NaN.
/// Range reduction and polynomial: Cephes `expf` (Moshier, 1989).
EBM_HOST_DEVICE float exp_nonpositive(float x) {
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5·2^23
  const float clamped = x < -87.0F ? -87.0F : x;
  const float shifted = clamped * 1.44269504088896341F + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float fraction = (p * r * r + r) + 1.0F;
  // 2^n: the integer sits in the low bits of `shifted`.
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23;
  const float scaled = fraction * std::bit_cast<float>(exponent);
  return x < -87.0F ? 0.0F : scaled;
}

/// Each of `rows` rows of `columns` scores becomes exp(s − max)/Σ, in place.
void softmax_forward(std::int64_t rows, std::int64_t columns, float* scores);

/// ∂/∂scores = A ∘ (dA − Σ_columns dA ∘ A), written over dA. A is the forward pass's output.
void softmax_backward(std::int64_t rows, std::int64_t columns, const float* attention,
                      float* attention_gradient);

}  // namespace ebm
