#include "cuda/nn/gpu/device_convolution.h"

#include <utility>

#include "cuda/device/bfloat16.cuh"
#include "cuda/nn/gpu/column_sums.cuh"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/gpu/direct_convolution.cuh"
#ifdef EBM_CUDNN
#include "cuda/nn/gpu/cudnn/cudnn_convolution.h"
#endif

namespace ebm {

namespace {

/// By kernels of our own. Weights are float for both types of activations.
template <class T>
class DirectConvolution final : public DeviceConvolution<T> {
 public:
  DirectConvolution(CudaContext& context, const ConvolutionPattern& pattern,
                    const StackedParameters& parameters)
      : stream_(context.stream()),
        shape_(pattern.shape),
        epilogue_(pattern.leaky_relu ? Epilogue::leaky_relu : Epilogue::store),
        input_is_leaky_(pattern.input_is_leaky),
        // A linear layer's kernel is 1, so that its weights' order is that of the inputs.
        filter_(stream_, parameters, shape_.kernel == 1),
        scratch_(stream_, convolution_weight_gradient_scratch(shape_)) {}

  void set_parameters(const float* theta) override { filter_.load(theta); }
  void forward(const T* x, T* y) override {
    convolution_forward(stream_, shape_, ImageLayout::channels_last, x, filter_.weight(),
                        filter_.bias(), epilogue_, y);
  }
  void input_gradient(const T* dy, const T* x, T* dx) override {
    convolution_input_gradient(stream_, shape_, ImageLayout::channels_last, dy,
                               static_cast<const T*>(nullptr), filter_.weight(),
                               input_is_leaky_ ? x : nullptr, dx);
  }
  void weight_gradient(const T* x, const T* dy, float* theta_gradient) override {
    convolution_weight_gradient(stream_, shape_, ImageLayout::channels_last, x, dy,
                                static_cast<const T*>(nullptr), scratch_.data(),
                                filter_.weight_gradient(), filter_.bias_gradient());
    filter_.store_gradient(theta_gradient);
  }

 private:
  const CudaStream& stream_;
  ConvolutionShape shape_;
  Epilogue epilogue_;
  bool input_is_leaky_;
  Filter<float> filter_;
  DeviceBuffer<float> scratch_;
};

#ifdef EBM_CUDNN
/// By cuDNN and cuBLASLt; the bias's gradient by a kernel of ours.
template <class T>
class LibraryConvolution final : public DeviceConvolution<T> {
 public:
  LibraryConvolution(CudaContext& context, std::unique_ptr<CudnnConvolution> plans,
                     const ConvolutionShape& shape, const StackedParameters& parameters)
      : context_(context),
        plans_(std::move(plans)),
        rows_(std::int64_t{shape.images} * shape.out_height() * shape.out_width()),
        columns_(shape.out_channels),
        filter_(context.stream(), parameters, true),
        scratch_(context.stream(), column_sums_scratch(rows_, columns_)) {
    context.reserve_workspace(plans_->workspace_bytes());
  }

  void set_parameters(const float* theta) override {
    filter_.load(theta);
    plans_->take_weights(filter_.weight());
  }
  void forward(const T* x, T* y) override {
    plans_->forward(x, filter_.weight(), filter_.bias(), y, context_.workspace());
  }
  void input_gradient(const T* dy, const T* x, T* dx) override {
    plans_->input_gradient(dy, filter_.weight(), x, dx, context_.workspace());
  }
  void weight_gradient(const T* x, const T* dy, float* theta_gradient) override {
    plans_->weight_gradient(x, dy, filter_.weight_gradient(), context_.workspace());
    column_sums(context_.stream(), rows_, columns_, dy, scratch_.data(), filter_.bias_gradient());
    filter_.store_gradient(theta_gradient);
  }

 private:
  CudaContext& context_;
  std::unique_ptr<CudnnConvolution> plans_;
  std::int64_t rows_;
  std::int64_t columns_;
  Filter<T> filter_;
  DeviceBuffer<float> scratch_;
};
#endif

}  // namespace

template <class T>
std::unique_ptr<DeviceConvolution<T>> make_device_convolution(CudaContext& context,
                                                              const ConvolutionPattern& pattern,
                                                              const StackedParameters& parameters) {
#ifdef EBM_CUDNN
  if (std::unique_ptr<CudnnConvolution> plans =
          CudnnConvolution::create(context.libraries(), pattern, context.plan_cache())) {
    return std::make_unique<LibraryConvolution<T>>(context, std::move(plans), pattern.shape,
                                                   parameters);
  }
#endif
  return std::make_unique<DirectConvolution<T>>(context, pattern, parameters);
}

template std::unique_ptr<DeviceConvolution<float>> make_device_convolution(
    CudaContext&, const ConvolutionPattern&, const StackedParameters&);
template std::unique_ptr<DeviceConvolution<Bfloat16>> make_device_convolution(
    CudaContext&, const ConvolutionPattern&, const StackedParameters&);

}  // namespace ebm
