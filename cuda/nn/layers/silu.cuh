// silu: x·σ(x) (Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network
// function approximation in reinforcement learning", 2018), element by element.
#pragma once

#include "cuda/base/host_device.cuh"
#include "cuda/kernels/softmax.cuh"
#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

struct Silu {
  /// σ(x) = 1/(1 + e^−x), of an exponential that cannot overflow.
  EBM_HOST_DEVICE static float sigmoid(float x) {
    const float e = exp_nonpositive(x < 0.0F ? x : -x);
    return (x < 0.0F ? e : 1.0F) / (1.0F + e);
  }

  EBM_HOST_DEVICE float operator()(float x) const { return x * sigmoid(x); }

  /// ∂/∂x from ∂/∂y, at the input.
  EBM_HOST_DEVICE float gradient(float x, float output_gradient) const {
    const float s = sigmoid(x);
    return output_gradient * (s * (1.0F + x * (1.0F - s)));
  }
};

extern const LayerType kSiluLayer;
extern const OperationType kSilu;

}  // namespace ebm
