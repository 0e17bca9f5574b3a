// A convolution's parameters on a CUDA device, taken out of θ. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/operation.h"

namespace ebm {

/// to = from, both on the device.
inline void copy_floats(const CudaStream& stream, float* to, const float* from,
                        std::int64_t count) {
  EBM_CHECK_CUDA(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(float),
                                 cudaMemcpyDeviceToDevice, stream.get()));
}

/// Bytes of the filters of these parameters, of floats, with what a library keeps in other layouts.
inline std::int64_t filter_bytes(std::span<const StackedParameters> parameters) {
  constexpr std::int64_t kCopies = 3;
  std::int64_t values = 0;
  for (const StackedParameters& stacked : parameters) {
    values += stacked.count();
  }
  return kCopies * values * static_cast<std::int64_t>(sizeof(float));
}

/// A convolution's parameters as values of type W, (outputs, positions, channels) if channels_last,
/// else in θ's order, and memory for their gradient in the same order.
template <class W>
class Filter {
 public:
  Filter(const CudaStream& stream, const StackedParameters& parameters, bool channels_last)
      : stream_(stream),
        parameters_(parameters),
        inputs_(parameters.channels * parameters.positions),
        channels_last_(channels_last),
        weight_(stream, static_cast<std::size_t>(parameters.outputs() * inputs_)),
        bias_(stream, static_cast<std::size_t>(parameters.outputs())),
        weight_gradient_(stream, weight_.size()),
        bias_gradient_(stream, bias_.size()) {}

  const W* weight() const { return weight_.data(); }
  const float* bias() const { return bias_.data(); }
  float* weight_gradient() { return weight_gradient_.data(); }
  float* bias_gradient() { return bias_gradient_.data(); }

  void load(const float* theta) {
    for_each_part([&](const StackedParameters::Part& part, std::int64_t first) {
      W* const weight = weight_.data() + first * inputs_;
      to_channels_last(stream_, part.outputs, channels(), positions(), theta + part.weight, weight);
      copy_floats(stream_, bias_.data() + first, theta + part.bias, part.outputs);
    });
  }
  void store_gradient(float* theta_gradient) {
    for_each_part([&](const StackedParameters::Part& part, std::int64_t first) {
      const float* const weight = weight_gradient_.data() + first * inputs_;
      to_channel_major(stream_, part.outputs, channels(), positions(), weight,
                       theta_gradient + part.weight);
      copy_floats(stream_, theta_gradient + part.bias, bias_gradient_.data() + first, part.outputs);
    });
  }

 private:
  // An order of one position is none.
  std::int64_t channels() const { return channels_last_ ? parameters_.channels : inputs_; }
  std::int64_t positions() const { return channels_last_ ? parameters_.positions : 1; }

  template <class Body>
  void for_each_part(const Body& body) const {
    std::int64_t first = 0;
    for (const StackedParameters::Part& part : parameters_.parts) {
      body(part, first);
      first += part.outputs;
    }
  }

  const CudaStream& stream_;
  StackedParameters parameters_;
  std::int64_t inputs_;
  bool channels_last_;
  DeviceBuffer<W> weight_;
  DeviceBuffer<float> bias_;
  DeviceBuffer<float> weight_gradient_;
  DeviceBuffer<float> bias_gradient_;
};

}  // namespace ebm
