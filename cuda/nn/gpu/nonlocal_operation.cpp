#include "cuda/nn/gpu/nonlocal_operation.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/gpu/attention.cuh"
#include "cuda/nn/gpu/bias_activation.cuh"
#include "cuda/nn/gpu/convolution_operation.h"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/device_convolution.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/direct_convolution.cuh"
#include "cuda/nn/gpu/nonlocal_block.cuh"
#include "cuda/nn/layers/nonlocal.h"

namespace ebm {
namespace {

/// Both directions are a kernel each where it takes the shape; else, and for the weights' gradient,
/// they are convolutions, pooling and attention, one after the other.
template <class T>
class GpuNonlocal final : public GpuOperation {
 public:
  GpuNonlocal(const GpuBatch& batch, const Operation& operation, const OperationMemory<T>& memory);

  void set_parameters(const float* theta) override;
  void forward() override;
  void backward() override;
  void weight_gradient(float* theta_gradient) override {
    to_qkv_->weight_gradient(memory_.x, qkv_gradient_.data(), theta_gradient);
    projection_->weight_gradient(attended_.data(), memory_.dy, theta_gradient);
  }

 private:
  NonlocalParameters parameters() const {
    return {qkv_filter_->weight(), qkv_filter_->bias(), projection_filter_->weight(),
            projection_filter_->bias()};
  }
  NonlocalMemory<T> memory() {
    return {qkv_.data(),      pooled_.data(),   argmax_.data(),
            log_sums_.data(), attended_.data(), qkv_gradient_.data()};
  }

  const CudaStream& stream_;
  NonlocalShape shape_;
  bool one_kernel_;
  std::int64_t half_;    // k
  std::int64_t values_;  // of the block's input, all images
  AttentionShape attention_;
  PoolShape pool_;  // over φ and g side by side
  OperationMemory<T> memory_;
  DeviceBuffer<T> qkv_;     // N × 3k: θ, φ, g
  DeviceBuffer<T> pooled_;  // M × 2k: K, V
  DeviceBuffer<std::uint8_t> argmax_;
  DeviceBuffer<T> attended_;      // N × k: A V
  DeviceBuffer<float> log_sums_;  // N
  DeviceBuffer<T> qkv_gradient_;
  std::unique_ptr<DeviceConvolution<T>> to_qkv_;
  std::unique_ptr<DeviceConvolution<T>> projection_;
  // Of one kernel:
  std::optional<Filter<float>> qkv_filter_;
  std::optional<Filter<float>> projection_filter_;
  // Of several:
  DeviceBuffer<float> workspace_;  // N
  DeviceBuffer<T> pooled_gradient_;
  DeviceBuffer<T> attended_gradient_;
};

template <class T>
GpuNonlocal<T>::GpuNonlocal(const GpuBatch& batch, const Operation& operation,
                            const OperationMemory<T>& memory)
    : stream_(batch.stream),
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
      qkv_(gpu_values<T>(batch, attention_.queries * 3 * half_)),
      pooled_(gpu_values<T>(batch, attention_.keys * 2 * half_)),
      argmax_(gpu_values<std::uint8_t>(batch, attention_.keys * 2 * half_)),
      attended_(gpu_values<T>(batch, attention_.queries * half_)),
      log_sums_(gpu_values<float>(batch, attention_.queries)),
      qkv_gradient_(gpu_values<T>(batch, attention_.queries * 3 * half_)) {
  if (half_ > kMostAttentionChannels) {
    throw std::invalid_argument(
        "layer '" + operation.layer + "': a nonlocal of " + std::to_string(operation.in.channels) +
        " channels, and CUDA devices take " + std::to_string(2 * kMostAttentionChannels) +
        " at most; use fewer, or --device cpu");
  }
  const auto convolution = [&](const ConvolutionShape& shape, const StackedParameters& parameters) {
    return make_device_convolution<T>(
        batch.context, {.shape = shape, .precision = batch.context.precision()}, parameters);
  };
  const auto [qkv, projection] = nonlocal_convolutions(batch.images, operation.in);
  to_qkv_ = convolution(qkv, qkv_parameters(operation));
  projection_ = convolution(projection, projection_parameters(operation));
  if (one_kernel_) {
    qkv_filter_.emplace(stream_, qkv_parameters(operation), true);
    projection_filter_.emplace(stream_, projection_parameters(operation), true);
  } else {
    workspace_ = gpu_values<float>(batch, attention_.queries);
    pooled_gradient_ = gpu_values<T>(batch, attention_.keys * 2 * half_);
    attended_gradient_ = gpu_values<T>(batch, attention_.queries * half_);
  }
}

template <class T>
void GpuNonlocal<T>::set_parameters(const float* theta) {
  if (one_kernel_) {
    qkv_filter_->load(theta);
    projection_filter_->load(theta);
  } else {
    to_qkv_->set_parameters(theta);
    projection_->set_parameters(theta);
  }
}

template <class T>
void GpuNonlocal<T>::forward() {
  if (one_kernel_) {
    nonlocal_forward(stream_, shape_, parameters(), memory_.x, memory(), memory_.y);
    return;
  }
  to_qkv_->forward(memory_.x, qkv_.data());
  max_pool_forward(stream_, pool_, static_cast<const T*>(qkv_.data() + half_), pooled_.data(),
                   argmax_.data());
  attention_forward(stream_, attention_, qkv_.data(), pooled_.data(), attended_.data(),
                    log_sums_.data());
  projection_->forward(attended_.data(), memory_.y);
  add(stream_, values_, memory_.x, memory_.y);
}

template <class T>
void GpuNonlocal<T>::backward() {
  if (one_kernel_) {
    nonlocal_backward<T>(stream_, shape_, parameters(), memory_.dy, memory(), memory_.dx);
    return;
  }
  projection_->input_gradient(memory_.dy, nullptr, attended_gradient_.data());
  attention_backward(stream_, attention_, qkv_.data(), pooled_.data(), log_sums_.data(),
                     static_cast<const T*>(attended_gradient_.data()), workspace_.data(),
                     qkv_gradient_.data(), pooled_gradient_.data());
  max_pool_backward(stream_, pool_, static_cast<const T*>(pooled_.data()),
                    static_cast<const T*>(pooled_gradient_.data()), argmax_.data(),
                    qkv_gradient_.data() + half_);
  to_qkv_->input_gradient(qkv_gradient_.data(), nullptr, memory_.dx);
  add<T>(stream_, values_, memory_.dy, memory_.dx);
}

}  // namespace

constinit const GpuFactory kGpuNonlocal = gpu_factory<GpuNonlocal>();

GpuBytes gpu_nonlocal_bytes(const Operation& operation, int images, Precision precision) {
  const std::int64_t value = precision == Precision::bf16 ? 2 : 4;
  // qkv, pooled, attended and their gradients; argmax; a kernel's parameters once more.
  const std::int64_t values = 6 * operation.in.size();
  const std::int64_t floats = 2 * pixels(operation.in);
  GpuBytes bytes{.own = images * (value * values + 4 * floats + operation.in.size() / 4) +
                        2 * filter_bytes(operation.parameters)};
  const auto [qkv, projection] = nonlocal_convolutions(images, operation.in);
  for (const ConvolutionShape& shape : {qkv, projection}) {
    bytes.own +=
        static_cast<std::int64_t>(convolution_weight_gradient_scratch(shape) * sizeof(float));
    bytes.shared = std::max(bytes.shared, convolution_workspace(shape, precision));
  }
  return bytes;
}

}  // namespace ebm
