// LeakyReLU, forward and backward, element by element on any memory layout.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// Slope below zero in every network of this project.
inline constexpr float kLeakySlope = 0.05F;

/// y = x for x > 0, slope·x otherwise. The derivative at 0 is the slope, as PyTorch's.
struct LeakyRelu {
  float slope = kLeakySlope;

  EBM_HOST_DEVICE float operator()(float x) const { return x > 0.0F ? x : slope * x; }

  /// ∂/∂x from ∂/∂y. Takes the output: its sign is the input's, because the slope is positive.
  EBM_HOST_DEVICE float gradient(float y, float output_gradient) const {
    return y > 0.0F ? output_gradient : slope * output_gradient;
  }
};

/// y[i] = LeakyReLU(x[i]) for n values. x and y may be the same memory.
void leaky_relu_forward(const LeakyRelu& relu, std::int64_t n, const float* x, float* y);

/// dx[i] from dy[i] and the forward pass's output y[i]. dx and dy may be the same memory.
void leaky_relu_backward(const LeakyRelu& relu, std::int64_t n, const float* y, const float* dy,
                         float* dx);

#ifdef EBM_CUDA
/// The same, enqueued on a stream; the pointers are the device's. T is float or Bfloat16.
template <class T>
void leaky_relu_forward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n, const T* x,
                        T* y);
template <class T>
void leaky_relu_backward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n,
                         const T* y, const T* dy, T* dx);
#endif

}  // namespace ebm
