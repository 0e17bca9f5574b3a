// 2×2 max-pooling with stride 2 and a LeakyReLU after it, forward and backward, on channels-last
// images.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// One window's four inputs, in row-major order.
struct PoolWindow {
  float v[4];
};

/// The largest of a window and where it was: the first of equals, as PyTorch's; a NaN wins.
EBM_HOST_DEVICE float pool_maximum(const PoolWindow& window, std::uint8_t& argmax) {
  float best = window.v[0];
  std::uint8_t at = 0;
  for (std::uint8_t k = 1; k < 4; ++k) {
    const bool larger = window.v[k] > best || window.v[k] != window.v[k];
    best = larger ? window.v[k] : best;
    at = larger ? k : at;
  }
  argmax = at;
  return best;
}

/// An image stack, channels last; height and width even.
struct PoolShape {
  int images = 0;
  int height = 0;  ///< of the input
  int width = 0;
  int channels = 0;
  int pixel_stride = 0;  ///< values from one input pixel to the next, at least `channels`
  /// Applied to the maximum; of slope 1, nothing happens. A LeakyReLU before the pooling is the
  /// same, as it keeps the order of values, but is four times the work.
  LeakyRelu after{.slope = 1};
};

/// y (images × height/2 × width/2 × channels, dense) and argmax, where in their windows the largest
/// were, of the same shape.
void max_pool_forward(const PoolShape& shape, const float* x, float* y, std::uint8_t* argmax);

/// dx (the input's shape and stride; every pooled channel is overwritten) from dy and the output
/// and the argmax of the forward pass.
void max_pool_backward(const PoolShape& shape, const float* y, const float* dy,
                       const std::uint8_t* argmax, float* dx);

#ifdef EBM_CUDA
/// The same, enqueued on a stream; the pointers are the device's. T is float or Bfloat16.
template <class T>
void max_pool_forward(const CudaStream& stream, const PoolShape& shape, const T* x, T* y,
                      std::uint8_t* argmax);
template <class T>
void max_pool_backward(const CudaStream& stream, const PoolShape& shape, const T* y, const T* dy,
                       const std::uint8_t* argmax, T* dx);
#endif

}  // namespace ebm
