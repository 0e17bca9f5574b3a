// The layers of a ConvNet on a CUDA device, each with its memory. In builds with CUDA only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cuda/device/device_buffer.h"
#include "cuda/kernels/channel_order.cuh"
#include "cuda/kernels/energy_head.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/device_convolution.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/device_lowering.h"
#include "cuda/nn/gpu/direct_convolution.cuh"
#include "cuda/nn/network.h"

namespace ebm {

/// A layer of a batch of fixed size, bound to memory that is borrowed. Enqueues on the context's
/// stream, allocates nothing after construction.
/// `dy` is with respect to what a layer computes before any LeakyReLU of its own (see
/// DeviceOperation).
class DeviceLayer {
 public:
  DeviceLayer() = default;
  virtual ~DeviceLayer() = default;
  DeviceLayer(const DeviceLayer&) = delete;
  DeviceLayer& operator=(const DeviceLayer&) = delete;

  /// Takes its parameters out of θ.
  virtual void set_parameters(const float* /*theta*/) {}
  /// y from x.
  virtual void forward() = 0;
  /// dx from dy.
  virtual void backward() = 0;
  /// Overwrites its part of θ's gradient, after forward() and backward() of the same batch.
  virtual void weight_gradient(float* /*theta_gradient*/) {}
};

/// Input, output and their gradients: images × pixels × channels of type T, float or Bfloat16.
template <class T>
struct LayerMemory {
  const T* x = nullptr;
  T* y = nullptr;
  T* dx = nullptr;
  const T* dy = nullptr;
};

/// What is the same for all layers.
struct LayerBatch {
  CudaContext& context;
  int images = 0;
};

template <class T>
DeviceBuffer<T> device_values(const LayerBatch& batch, std::int64_t per_image) {
  return DeviceBuffer<T>(batch.context.stream(),
                         static_cast<std::size_t>(batch.images * per_image));
}

template <class T>
DeviceBuffer<T> device_zeros(const LayerBatch& batch, std::int64_t per_image) {
  return DeviceBuffer<T>::zeros(batch.context.stream(),
                                static_cast<std::size_t>(batch.images * per_image));
}

inline std::int64_t pixels(const Shape& shape) { return std::int64_t{shape.height} * shape.width; }

/// A convolution of states, with a LeakyReLU after it or not. Its input and gradient are float,
/// channel-major. Unlike other layers it takes its own LeakyReLU's derivative, as it reads dy.
template <class T>
class ImageConvolutionLayer final : public DeviceLayer {
 public:
  ImageConvolutionLayer(const LayerBatch& batch, const Network& network,
                        const DeviceOperation& operation, const float* x, float* dx, T* y,
                        const T* dy)
      : stream_(batch.context.stream()),
        shape_(convolution_shape(batch.images, network.layers()[operation.layer], operation.in)),
        leaky_relu_(operation.leaky_relu),
        x_(x),
        dx_(dx),
        y_(y),
        dy_(dy),
        filter_(stream_, parameters_of(network, operation.layer), false),
        scratch_(stream_, convolution_weight_gradient_scratch(shape_)) {}

  void set_parameters(const float* theta) override { filter_.load(theta); }
  void forward() override {
    convolution_forward(stream_, shape_, ImageLayout::channel_major, x_, filter_.weight(),
                        filter_.bias(), leaky_relu_ ? Epilogue::leaky_relu : Epilogue::store, y_);
  }
  void backward() override {
    convolution_input_gradient(stream_, shape_, ImageLayout::channel_major, dy_, mask(),
                               filter_.weight(), static_cast<const float*>(nullptr), dx_);
  }
  void weight_gradient(float* theta_gradient) override {
    convolution_weight_gradient(stream_, shape_, ImageLayout::channel_major, x_, dy_, mask(),
                                scratch_.data(), filter_.weight_gradient(),
                                filter_.bias_gradient());
    filter_.store_gradient(theta_gradient);
  }

 private:
  static ConvolutionParameters parameters_of(const Network& network, std::size_t layer) {
    const Layer& convolution = network.layers()[layer];
    ConvolutionParameters parameters{
        .channels = network.shape_before(layer).channels,
        .positions = std::int64_t{convolution.kernel} * convolution.kernel};
    parameters.add(network, convolution.key);
    return parameters;
  }
  const T* mask() const { return leaky_relu_ ? y_ : nullptr; }

  const CudaStream& stream_;
  ConvolutionShape shape_;
  bool leaky_relu_;
  const float* x_;
  float* dx_;
  T* y_;
  const T* dy_;
  Filter<float> filter_;
  DeviceBuffer<float> scratch_;
};

/// States, float and channel-major, as activations.
template <class T>
class NchwToNhwcLayer final : public DeviceLayer {
 public:
  NchwToNhwcLayer(const LayerBatch& batch, const Shape& shape, const float* x, float* dx, T* y,
                  const T* dy)
      : stream_(batch.context.stream()),
        images_(batch.images),
        shape_(shape),
        x_(x),
        dx_(dx),
        y_(y),
        dy_(dy) {}

  void forward() override {
    to_channels_last(stream_, images_, shape_.channels, pixels(shape_), x_, y_);
  }
  void backward() override {
    to_channel_major(stream_, images_, shape_.channels, pixels(shape_), dy_, dx_);
  }

 private:
  const CudaStream& stream_;
  std::int64_t images_;
  Shape shape_;
  const float* x_;
  float* dx_;
  T* y_;
  const T* dy_;
};

/// A convolution or linear layer.
template <class T>
class ConvolutionLayer final : public DeviceLayer {
 public:
  ConvolutionLayer(const LayerBatch& batch, const Network& network,
                   const DeviceOperation& operation, const LayerMemory<T>& memory)
      : memory_(memory),
        convolution_(make_device_convolution<T>(
            batch.context,
            {.shape =
                 convolution_shape(batch.images, network.layers()[operation.layer], operation.in),
             .precision = batch.context.precision(),
             .leaky_relu = operation.leaky_relu,
             .input_is_leaky = operation.input_is_leaky},
            parameters_of(network, operation.layer, operation.in))) {}

  void set_parameters(const float* theta) override { convolution_->set_parameters(theta); }
  void forward() override { convolution_->forward(memory_.x, memory_.y); }
  void backward() override { convolution_->input_gradient(memory_.dy, memory_.x, memory_.dx); }
  void weight_gradient(float* theta_gradient) override {
    convolution_->weight_gradient(memory_.x, memory_.dy, theta_gradient);
  }

 private:
  static ConvolutionParameters parameters_of(const Network& network, std::size_t index,
                                             const Shape& in) {
    const Layer& layer = network.layers()[index];
    ConvolutionParameters parameters{.channels = in.channels,
                                     .positions = layer.kind == LayerKind::linear
                                                      ? pixels(in)
                                                      : std::int64_t{layer.kernel} * layer.kernel};
    parameters.add(network, layer.key);
    return parameters;
  }

  LayerMemory<T> memory_;
  std::unique_ptr<DeviceConvolution<T>> convolution_;
};

/// A LeakyReLU that no neighbour computes.
template <class T>
class LeakyReluLayer final : public DeviceLayer {
 public:
  LeakyReluLayer(const LayerBatch& batch, const DeviceOperation& operation,
                 const LayerMemory<T>& memory)
      : stream_(batch.context.stream()),
        values_(batch.images * operation.in.size()),
        memory_(memory) {}

  void forward() override { leaky_relu_forward(stream_, {}, values_, memory_.x, memory_.y); }
  void backward() override {
    leaky_relu_backward(stream_, {}, values_, static_cast<const T*>(memory_.y), memory_.dy,
                        memory_.dx);
  }

 private:
  const CudaStream& stream_;
  std::int64_t values_;
  LayerMemory<T> memory_;
};

/// Max-pooling, with the LeakyReLU before it or not.
template <class T>
class MaxPoolLayer final : public DeviceLayer {
 public:
  MaxPoolLayer(const LayerBatch& batch, const DeviceOperation& operation,
               const LayerMemory<T>& memory)
      : stream_(batch.context.stream()),
        shape_{.images = batch.images,
               .height = operation.in.height,
               .width = operation.in.width,
               .channels = operation.in.channels,
               .pixel_stride = operation.in.channels,
               .after = {.slope = operation.leaky_relu ? kLeakySlope : 1}},
        memory_(memory),
        places_(device_values<std::uint8_t>(batch, operation.in.size() / 4)) {}

  void forward() override {
    max_pool_forward(stream_, shape_, memory_.x, memory_.y, places_.data());
  }
  void backward() override {
    max_pool_backward(stream_, shape_, static_cast<const T*>(memory_.y), memory_.dy, places_.data(),
                      memory_.dx);
  }

 private:
  const CudaStream& stream_;
  PoolShape shape_;
  LayerMemory<T> memory_;
  DeviceBuffer<std::uint8_t> places_;
};

/// The last layer, f = b + w·x, where it sees its whole input at once; or, of a network that ends
/// otherwise, f = x.
template <class T>
class HeadLayer {
 public:
  HeadLayer(const LayerBatch& batch, const Network& network, const DeviceOperation& operation,
            const T* x, T* dx);

  void set_parameters(const float* theta) {
    if (filter_) {
      filter_->load(theta);
    }
  }
  /// f of all images.
  void forward(float* f) {
    energy_head_forward(stream_, images_, inputs_, weight(), bias(), x_, f);
  }
  /// dx of Σ df·f over the first `live` images; 0 for the others.
  void backward(float df, std::int64_t live) {
    energy_head_backward(stream_, images_, inputs_, weight(), df, live,
                         input_is_leaky_ ? x_ : nullptr, dx_);
  }
  /// Its part of the gradient of the same sum.
  void weight_gradient(float df, std::int64_t live, float* theta_gradient) {
    if (filter_) {
      energy_head_weight_gradient(stream_, live, inputs_, df, x_, filter_->weight_gradient(),
                                  filter_->bias_gradient());
      filter_->store_gradient(theta_gradient);
    }
  }

 private:
  const float* weight() const { return filter_ ? filter_->weight() : identity_.data(); }
  const float* bias() const { return filter_ ? filter_->bias() : identity_.data() + 1; }

  const CudaStream& stream_;
  std::int64_t images_;
  std::int64_t inputs_;
  bool input_is_leaky_;
  const T* x_;
  T* dx_;
  std::optional<Filter<float>> filter_;
  DeviceBuffer<float> identity_;  // weight 1, bias 0
};

template <class T>
HeadLayer<T>::HeadLayer(const LayerBatch& batch, const Network& network,
                        const DeviceOperation& operation, const T* x, T* dx)
    : stream_(batch.context.stream()),
      images_(batch.images),
      inputs_(operation.in.size()),
      input_is_leaky_(operation.input_is_leaky),
      x_(x),
      dx_(dx) {
  if (operation.layer < network.layers().size()) {
    ConvolutionParameters parameters{.channels = operation.in.channels,
                                     .positions = pixels(operation.in)};
    parameters.add(network, network.layers()[operation.layer].key);
    filter_.emplace(stream_, parameters, true);
  } else {
    identity_ = DeviceBuffer<float>(stream_, 2);
    identity_.upload(stream_, std::array{1.0F, 0.0F});
  }
}

}  // namespace ebm
