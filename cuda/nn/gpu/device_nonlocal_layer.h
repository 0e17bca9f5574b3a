// The non-local block on a CUDA device. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "cuda/device/device_buffer.h"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/gpu/attention.cuh"
#include "cuda/nn/gpu/bias_activation.cuh"
#include "cuda/nn/gpu/device_convolution.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/device_layers.h"
#include "cuda/nn/gpu/nonlocal_block.cuh"

namespace ebm {

/// Memory and names are those of NonlocalBlock: N pixels, M = N/4 keys, k = half the channels. Both
/// directions are a kernel each where it takes the shape; else, and for the weights' gradient, they
/// are convolutions, pooling and attention, one after the other.
template <class T>
class NonlocalLayer final : public DeviceLayer {
 public:
  NonlocalLayer(const LayerBatch& batch, const Network& network, const DeviceOperation& operation,
                const LayerMemory<T>& memory);

  void set_parameters(const float* theta) override;
  void forward() override;
  void backward() override;
  void weight_gradient(float* theta_gradient) override {
    embed_->weight_gradient(memory_.x, embedded_gradient_.data(), theta_gradient);
    merge_->weight_gradient(mixed_.data(), memory_.dy, theta_gradient);
  }

 private:
  static ConvolutionParameters stacked(const Network& network, std::int64_t channels,
                                       std::initializer_list<std::string> names);
  NonlocalParameters parameters() const {
    return {embed_filter_->weight(), embed_filter_->bias(), merge_filter_->weight(),
            merge_filter_->bias()};
  }
  NonlocalMemory<T> memory() {
    return {embedded_.data(), pooled_.data(), places_.data(),
            log_sums_.data(), mixed_.data(),  embedded_gradient_.data()};
  }

  const CudaStream& stream_;
  NonlocalShape shape_;
  bool one_kernel_;
  std::int64_t half_;    // k
  std::int64_t values_;  // of the block's input, all images
  AttentionShape attention_;
  PoolShape pool_;  // over φ and g side by side
  LayerMemory<T> memory_;
  DeviceBuffer<T> embedded_;  // N × 3k: θ, φ, g
  DeviceBuffer<T> pooled_;    // M × 2k: K, V
  DeviceBuffer<std::uint8_t> places_;
  DeviceBuffer<T> mixed_;         // N × k: A V
  DeviceBuffer<float> log_sums_;  // N
  DeviceBuffer<T> embedded_gradient_;
  std::unique_ptr<DeviceConvolution<T>> embed_;
  std::unique_ptr<DeviceConvolution<T>> merge_;
  // Of one kernel:
  std::optional<Filter<float>> embed_filter_;
  std::optional<Filter<float>> merge_filter_;
  // Of several:
  DeviceBuffer<float> workspace_;  // N
  DeviceBuffer<T> pooled_gradient_;
  DeviceBuffer<T> mixed_gradient_;
};

template <class T>
NonlocalLayer<T>::NonlocalLayer(const LayerBatch& batch, const Network& network,
                                const DeviceOperation& operation, const LayerMemory<T>& memory)
    : stream_(batch.context.stream()),
      shape_{.images = batch.images,
             .height = operation.in.height,
             .width = operation.in.width,
             .half = operation.in.channels / 2},
      one_kernel_(nonlocal_fits_a_kernel(shape_)),
      half_(shape_.half),
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
      embedded_gradient_(device_values<T>(batch, attention_.queries * 3 * half_)) {
  if (half_ > kMostAttentionChannels) {
    throw std::invalid_argument(
        "layer " + std::to_string(operation.layer) + ": a nonlocal of " +
        std::to_string(operation.in.channels) + " channels, and CUDA devices take " +
        std::to_string(2 * kMostAttentionChannels) + " at most; use fewer, or --device cpu");
  }
  const std::string& key = network.layers()[operation.layer].key;
  const ConvolutionParameters embed =
      stacked(network, 2 * half_, {key + ".theta", key + ".phi.0", key + ".g.0"});
  const ConvolutionParameters merge = stacked(network, half_, {key + ".W"});
  const auto convolution = [&](const ConvolutionShape& shape, const ConvolutionParameters& from) {
    return make_device_convolution<T>(
        batch.context, {.shape = shape, .precision = batch.context.precision()}, from);
  };
  const auto [qkv, output] = nonlocal_convolutions(batch.images, operation.in);
  embed_ = convolution(qkv, embed);
  merge_ = convolution(output, merge);
  if (one_kernel_) {
    embed_filter_.emplace(stream_, embed, true);
    merge_filter_.emplace(stream_, merge, true);
  } else {
    workspace_ = device_values<float>(batch, attention_.queries);
    pooled_gradient_ = device_values<T>(batch, attention_.keys * 2 * half_);
    mixed_gradient_ = device_values<T>(batch, attention_.queries * half_);
  }
}

/// The convolutions of these names, all with a kernel of 1 on the same input, as one.
template <class T>
ConvolutionParameters NonlocalLayer<T>::stacked(const Network& network, std::int64_t channels,
                                                std::initializer_list<std::string> names) {
  ConvolutionParameters parameters{.channels = channels};
  for (const std::string& name : names) {
    parameters.add(network, name);
  }
  return parameters;
}

template <class T>
void NonlocalLayer<T>::set_parameters(const float* theta) {
  if (one_kernel_) {
    embed_filter_->load(theta);
    merge_filter_->load(theta);
  } else {
    embed_->set_parameters(theta);
    merge_->set_parameters(theta);
  }
}

template <class T>
void NonlocalLayer<T>::forward() {
  if (one_kernel_) {
    nonlocal_forward(stream_, shape_, parameters(), memory_.x, memory(), memory_.y);
    return;
  }
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
  if (one_kernel_) {
    nonlocal_backward(stream_, shape_, parameters(), memory_.dy, memory(), memory_.dx);
    return;
  }
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
