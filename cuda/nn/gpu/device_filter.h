// A convolution's parameters on a CUDA device, taken out of θ. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/channel_order.cuh"
#include "cuda/nn/network.h"

namespace ebm {

/// Where a convolution's parameters are in θ: one or more pairs of a weight and a bias, stacked
/// along the outputs.
struct ConvolutionParameters {
  struct Part {
    std::int64_t weight = 0;  ///< offset in θ of (outputs, channels, positions)
    std::int64_t bias = 0;    ///< of (outputs)
    std::int64_t outputs = 0;
  };
  std::vector<Part> parts{};
  /// Of a convolution, input channels and kernel · kernel. Of a linear layer behind a flatten,
  /// those of the image that was flattened, and its pixels: activations stay channels last, so it
  /// is the weights whose order changes.
  std::int64_t channels = 0;
  std::int64_t positions = 1;

  std::int64_t outputs() const;
  /// Appends the layer's tensors NAME.weight and NAME.bias.
  void add(const Network& network, const std::string& name);
};

/// to = from, both on the device.
inline void copy_floats(const CudaStream& stream, float* to, const float* from,
                        std::int64_t count) {
  EBM_CHECK_CUDA(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(float),
                                 cudaMemcpyDeviceToDevice, stream.get()));
}

/// A convolution's parameters as values of type W, (outputs, positions, channels) if channels_last,
/// else in θ's order, and memory for their gradient in the same order.
template <class W>
class Filter {
 public:
  Filter(const CudaStream& stream, const ConvolutionParameters& parameters, bool channels_last)
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
    for_each_part([&](const ConvolutionParameters::Part& part, std::int64_t first) {
      W* const weight = weight_.data() + first * inputs_;
      to_channels_last(stream_, part.outputs, channels(), positions(), theta + part.weight, weight);
      copy_floats(stream_, bias_.data() + first, theta + part.bias, part.outputs);
    });
  }
  void store_gradient(float* theta_gradient) {
    for_each_part([&](const ConvolutionParameters::Part& part, std::int64_t first) {
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
    for (const ConvolutionParameters::Part& part : parameters_.parts) {
      body(part, first);
      first += part.outputs;
    }
  }

  const CudaStream& stream_;
  ConvolutionParameters parameters_;
  std::int64_t inputs_;
  bool channels_last_;
  DeviceBuffer<W> weight_;
  DeviceBuffer<float> bias_;
  DeviceBuffer<float> weight_gradient_;
  DeviceBuffer<float> bias_gradient_;
};

}  // namespace ebm
