// What a device computes convolutions in.
#pragma once

namespace ebm {

/// Of the products in convolutions and linear layers, and of activations. States, energies, sums of
/// gradients and θ are float32 in all of them.
enum class Precision {
  fp32,
  tf32,  ///< float32 values, 10-bit mantissas where tensor cores multiply
  bf16,  ///< bfloat16 values, float32 sums
};

}  // namespace ebm
