// How much arithmetic a network is: what the speed of an executor is measured by.
#pragma once

#include <cstdint>

#include "cuda/nn/network.h"

namespace ebm {

/// Multiply–adds for one state in convolutions, linear layers and attention products, zero padding
/// included. Activations, pooling, softmax and noise are left out: no more than a few percent.
struct OperationCount {
  std::int64_t forward = 0;         ///< f(x)
  std::int64_t input_gradient = 0;  ///< ∇ₓf(x), once f(x) has been computed

  /// Floating-point operations of one Langevin step of one chain.
  double langevin_step() const {
    return 2.0 * (static_cast<double>(forward) + static_cast<double>(input_gradient));
  }
};

/// Counts the layers of a network.
OperationCount count_operations(const Network& network);

}  // namespace ebm
