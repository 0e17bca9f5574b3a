// The arithmetic of a network.
#pragma once

namespace ebm {

/// What activations and weights are stored as, and how convolutions multiply them. Sums are float
/// in all three; so are states, energies, biases and weight gradients. A CPU computes tf32 in fp32,
/// stores floats in any, and rounds to bf16 what is multiplied.
enum class Precision {
  fp32,  ///< float; no tensor cores, so products are float's
  tf32,  ///< float; tensor cores may round factors to 10 bits of mantissa
  bf16,  ///< Bfloat16
};

}  // namespace ebm
