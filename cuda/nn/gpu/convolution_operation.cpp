#include "cuda/nn/gpu/convolution_operation.h"

#include <algorithm>

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/device_convolution.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/direct_convolution.cuh"
#include "cuda/nn/gpu/subpixels.cuh"

namespace ebm {
namespace {

template <class T>
class GpuConvolution final : public GpuOperation {
 public:
  GpuConvolution(const GpuBatch& batch, const Operation& operation,
                 const OperationMemory<T>& memory)
      : stream_(batch.stream),
        own_derivative_(operation.own_derivative),
        outputs_(batch.images * operation.out.size()),
        memory_(memory),
        convolution_(make_device_convolution<T>(
            batch.context, convolution_pattern(operation, batch.images, batch.context.precision()),
            operation.parameters.front())) {}

  void set_parameters(const float* theta) override { convolution_->set_parameters(theta); }
  void forward() override { convolution_->forward(memory_.x, memory_.y); }
  void backward() override {
    if (own_derivative_) {
      leaky_relu_backward<T>(stream_, {}, outputs_, memory_.y, memory_.dy, memory_.dy);
    }
    convolution_->input_gradient(memory_.dy, memory_.x, memory_.dx);
  }
  void weight_gradient(float* theta_gradient) override {
    convolution_->weight_gradient(memory_.x, memory_.dy, theta_gradient);
  }

 private:
  const CudaStream& stream_;
  bool own_derivative_;
  std::int64_t outputs_;
  OperationMemory<T> memory_;
  std::unique_ptr<DeviceConvolution<T>> convolution_;
};

/// It takes its own LeakyReLU's derivative as it reads dy.
template <class T>
class GpuImageConvolution final : public GpuOperation {
 public:
  GpuImageConvolution(const GpuBatch& batch, const Operation& operation,
                      const OperationMemory<T>& memory)
      : stream_(batch.stream),
        shape_(convolution_shape(batch.images, operation)),
        leaky_relu_(operation.leaky_relu),
        memory_(memory),
        filter_(batch.stream, operation.parameters.front(), false),
        scratch_(batch.stream, convolution_weight_gradient_scratch(shape_)) {}

  void set_parameters(const float* theta) override { filter_.load(theta); }
  void forward() override {
    convolution_forward(stream_, shape_, ImageLayout::channel_major, states(), filter_.weight(),
                        filter_.bias(), leaky_relu_ ? Epilogue::leaky_relu : Epilogue::store,
                        memory_.y);
  }
  void backward() override {
    convolution_input_gradient<float, T>(
        stream_, shape_, ImageLayout::channel_major, memory_.dy, mask(), filter_.weight(),
        static_cast<const float*>(nullptr), memory_.ends->gradients);
  }
  void weight_gradient(float* theta_gradient) override {
    convolution_weight_gradient<float, T>(stream_, shape_, ImageLayout::channel_major, states(),
                                          memory_.dy, mask(), scratch_.data(),
                                          filter_.weight_gradient(), filter_.bias_gradient());
    filter_.store_gradient(theta_gradient);
  }

 private:
  const float* states() const { return memory_.ends->states; }
  const T* mask() const { return leaky_relu_ ? memory_.y : nullptr; }

  const CudaStream& stream_;
  ConvolutionShape shape_;
  bool leaky_relu_;
  OperationMemory<T> memory_;
  Filter<float> filter_;
  DeviceBuffer<float> scratch_;
};

std::int64_t own_bytes(const Operation& operation, int images) {
  const std::size_t scratch =
      convolution_weight_gradient_scratch(convolution_shape(images, operation));
  return filter_bytes(operation.parameters) + static_cast<std::int64_t>(scratch * sizeof(float));
}

}  // namespace

constinit const GpuFactory kGpuConvolution = gpu_factory<GpuConvolution>();
constinit const GpuFactory kGpuImageConvolution = gpu_factory<GpuImageConvolution>();

GpuBytes gpu_convolution_bytes(const Operation& operation, int images, Precision precision) {
  return {.own = own_bytes(operation, images),
          .shared = convolution_workspace(convolution_shape(images, operation), precision)};
}

GpuBytes gpu_image_convolution_bytes(const Operation& operation, int images,
                                     Precision /*precision*/) {
  return {.own = own_bytes(operation, images)};
}

#ifdef EBM_CUDNN
std::int64_t convolution_workspace(const ConvolutionShape& shape, Precision precision) {
  // The most of cuDNN's plans, and as much again while they are measured; then there are arrays to
  // measure on (x, y and dx), and in bf16, both times, the float copies of x and y. Subpixels share
  // the workspace with the copies.
  constexpr std::int64_t kPlans = std::int64_t{512} << 20;
  const std::int64_t arrays = precision == Precision::bf16 ? 9 : 4;
  const std::int64_t largest =
      std::max(std::int64_t{shape.in_channels} * shape.height * shape.width,
               std::int64_t{shape.out_channels} * shape.out_height() * shape.out_width());
  std::int64_t subpixels = 0;
  if (has_subpixels(shape)) {
    const ConvolutionShape to = subpixel_convolution(shape);
    subpixels = std::int64_t{to.out_channels} * to.out_height() * to.out_width();
  }
  return kPlans + 4 * shape.images * (arrays * largest + 2 * subpixels);
}
#else
std::int64_t convolution_workspace(const ConvolutionShape& /*shape*/, Precision /*precision*/) {
  return 0;
}
#endif

}  // namespace ebm
