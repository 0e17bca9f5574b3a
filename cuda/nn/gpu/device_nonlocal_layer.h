// The non-local block on a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>

#include "cuda/device/device_buffer.h"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/gpu/attention.cuh"
#include "cuda/nn/gpu/bias_activation.cuh"
#include "cuda/nn/gpu/device_convolution.h"
#include "cuda/nn/gpu/device_layers.h"

namespace ebm {

/// Memory and names are those of NonlocalBlock: N pixels, M = N/4 keys, k = half the channels.
template <class T>
class NonlocalLayer final : public DeviceLayer {
 public:
  NonlocalLayer(const LayerBatch& batch, const Network& network, const DeviceOperation& operation,
                const LayerMemory<T>& memory);

  void set_parameters(const float* theta) override {
    embed_->set_parameters(theta);
    merge_->set_parameters(theta);
  }
  void forward() override;
  void backward() override;
  void weight_gradient(float* theta_gradient) override {
    embed_->weight_gradient(memory_.x, embedded_gradient_.data(), theta_gradient);
    merge_->weight_gradient(mixed_.data(), memory_.dy, theta_gradient);
  }

 private:
  std::unique_ptr<DeviceConvolution<T>> pointwise(const LayerBatch& batch, const Network& network,
                                                  const ConvolutionShape& shape,
                                                  std::initializer_list<std::string> names);

  const CudaStream& stream_;
  std::int64_t half_;    // k
  std::int64_t values_;  // of the block's input, all images
  AttentionShape attention_;
  PoolShape pool_;  // over φ and g side by side
  LayerMemory<T> memory_;
  DeviceBuffer<T> embedded_;  // N × 3k: θ, φ, g
  DeviceBuffer<T> pooled_;    // M × 2k: K, V
  DeviceBuffer<std::uint8_t> places_;
  DeviceBuffer<T> mixed_;          // N × k: A V
  DeviceBuffer<float> log_sums_;   // N
  DeviceBuffer<float> workspace_;  // N
  DeviceBuffer<T> embedded_gradient_;
  DeviceBuffer<T> pooled_gradient_;
  DeviceBuffer<T> mixed_gradient_;
  std::unique_ptr<DeviceConvolution<T>> embed_;
  std::unique_ptr<DeviceConvolution<T>> merge_;
};

template <class T>
NonlocalLayer<T>::NonlocalLayer(const LayerBatch& batch, const Network& network,
                                const DeviceOperation& operation, const LayerMemory<T>& memory)
    : stream_(batch.context.stream()),
      half_(operation.in.channels / 2),
      values_(batch.images * operation.in.size()),
      attention_{.images = batch.images,
                 .queries = pixels(operation.in),
                 .keys = pixels(operation.in) / 4,
                 .channels = half_},
      pool_{.images = batch.images,
            .height = operation.in.height,
            .width = operation.in.width,
            .channels = static_cast<int>(2 * half_),
            .pixel_stride = static_cast<int>(3 * half_)},
      memory_(memory),
      embedded_(device_values<T>(batch, attention_.queries * 3 * half_)),
      pooled_(device_values<T>(batch, attention_.keys * 2 * half_)),
      places_(device_values<std::uint8_t>(batch, attention_.keys * 2 * half_)),
      mixed_(device_values<T>(batch, attention_.queries * half_)),
      log_sums_(device_values<float>(batch, attention_.queries)),
      workspace_(device_values<float>(batch, attention_.queries)),
      embedded_gradient_(device_values<T>(batch, attention_.queries * 3 * half_)),
      pooled_gradient_(device_values<T>(batch, attention_.keys * 2 * half_)),
      mixed_gradient_(device_values<T>(batch, attention_.queries * half_)) {
  if (half_ > kMostAttentionChannels) {
    throw std::invalid_argument(
        "layer " + std::to_string(operation.layer) + ": a nonlocal of " +
        std::to_string(operation.in.channels) + " channels, and CUDA devices take " +
        std::to_string(2 * kMostAttentionChannels) + " at most; use fewer, or --device cpu");
  }
  const std::string& key = network.layers()[operation.layer].key;
  const auto [qkv, output] = nonlocal_convolutions(batch.images, operation.in);
  embed_ = pointwise(batch, network, qkv, {key + ".theta", key + ".phi.0", key + ".g.0"});
  merge_ = pointwise(batch, network, output, {key + ".W"});
}

/// The convolutions of these names, all with a kernel of 1 on the same input, as one.
template <class T>
std::unique_ptr<DeviceConvolution<T>> NonlocalLayer<T>::pointwise(
    const LayerBatch& batch, const Network& network, const ConvolutionShape& shape,
    std::initializer_list<std::string> names) {
  ConvolutionParameters parameters{.channels = shape.in_channels};
  for (const std::string& name : names) {
    parameters.add(network, name);
  }
  return make_device_convolution<T>(
      batch.context, {.shape = shape, .precision = batch.context.precision()}, parameters);
}

template <class T>
void NonlocalLayer<T>::forward() {
  embed_->forward(memory_.x, embedded_.data());
  max_pool_forward(stream_, pool_, static_cast<const T*>(embedded_.data() + half_), pooled_.data(),
                   places_.data());
  attention_forward(stream_, attention_, embedded_.data(), pooled_.data(), mixed_.data(),
                    log_sums_.data());
  merge_->forward(mixed_.data(), memory_.y);
  add(stream_, values_, memory_.x, memory_.y);
}

template <class T>
void NonlocalLayer<T>::backward() {
  merge_->input_gradient(memory_.dy, nullptr, mixed_gradient_.data());
  attention_backward(stream_, attention_, embedded_.data(), pooled_.data(), log_sums_.data(),
                     static_cast<const T*>(mixed_gradient_.data()), workspace_.data(),
                     embedded_gradient_.data(), pooled_gradient_.data());
  max_pool_backward(stream_, pool_, static_cast<const T*>(pooled_.data()),
                    static_cast<const T*>(pooled_gradient_.data()), places_.data(),
                    embedded_gradient_.data() + half_);
  embed_->input_gradient(embedded_gradient_.data(), nullptr, memory_.dx);
  add(stream_, values_, memory_.dy, memory_.dx);
}

}  // namespace ebm
