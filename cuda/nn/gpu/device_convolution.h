// A convolution of a network on a CUDA device, with its parameters: by cuDNN where it has a plan,
// else by kernels of our own. In builds with CUDA only.
#pragma once

#include <memory>

#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/device_filter.h"

namespace ebm {

/// One layer W∗x + b. Arrays are the device's, channels last, of the batch given at construction; T
/// is float or Bfloat16. Enqueues on the context's stream; allocates nothing after construction.
template <class T>
class DeviceConvolution {
 public:
  virtual ~DeviceConvolution() = default;

  /// Takes its parameters out of θ.
  virtual void set_parameters(const float* theta) = 0;
  /// y = W∗x + b, with the LeakyReLU if there is one.
  virtual void forward(const T* x, T* y) = 0;
  /// dx from dy, the gradient with respect to W∗x + b. Where a LeakyReLU made x, dx is with respect
  /// to that LeakyReLU's input; where none did, x is not looked at.
  virtual void input_gradient(const T* dy, const T* x, T* dx) = 0;
  /// Overwrites its parameters' part of theta_gradient.
  virtual void weight_gradient(const T* x, const T* dy, float* theta_gradient) = 0;
};

template <class T>
std::unique_ptr<DeviceConvolution<T>> make_device_convolution(CudaContext& context,
                                                              const ConvolutionPattern& pattern,
                                                              const StackedParameters& parameters);

}  // namespace ebm
