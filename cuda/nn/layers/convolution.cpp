#include "cuda/nn/layers/convolution.h"

#include "cuda/nn/cpu/convolution_operation.h"
#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/convolution_operation.h"
#endif

namespace ebm {
namespace {

constexpr int kMostOutputs = 65'536;
constexpr int kMostPixels = 1024;

constexpr LayerKey kConvolutionKeys[] = {
    {.name = "outputs", .about = "channels", .value = &Layer::outputs, .highest = kMostOutputs},
    {.name = "kernel", .about = "pixels a side", .value = &Layer::kernel, .highest = kMostPixels},
    {.name = "stride",
     .about = "pixels",
     .value = &Layer::stride,
     .highest = kMostPixels,
     .fallback = 1},
    {.name = "padding",
     .about = "pixels of zeros on each side",
     .value = &Layer::padding,
     .lowest = 0,
     .highest = kMostPixels,
     .fallback = 0},
};

constexpr LayerKey kLinearKeys[] = {
    {.name = "outputs", .about = "numbers", .value = &Layer::outputs, .highest = kMostOutputs}};

Shape convolution_out_shape(const Layer& layer, const Shape& in) {
  require_fit(layer.outputs >= 1 && layer.kernel >= 1 && layer.stride >= 1 && layer.padding >= 0,
              "needs outputs, kernel and stride of at least 1 and padding of at least 0");
  const int height = in.height + 2 * layer.padding - layer.kernel;
  const int width = in.width + 2 * layer.padding - layer.kernel;
  require_fit(height >= 0 && width >= 0, "the kernel is larger than the padded input");
  return {layer.outputs, height / layer.stride + 1, width / layer.stride + 1};
}

void add_convolution_parameters(const Layer& layer, const Shape& in, ParameterList& to) {
  to.add(layer.key, {layer.outputs, in.channels, layer.kernel, layer.kernel});
}

Shape linear_out_shape(const Layer& layer, const Shape& in) {
  require_fit(layer.outputs >= 1, "needs at least one output");
  require_fit(in.height == 1 && in.width == 1, "needs a flat input; put a flatten layer before it");
  return {layer.outputs, 1, 1};
}

void add_linear_parameters(const Layer& layer, const Shape& in, ParameterList& to) {
  to.add(layer.key, {layer.outputs, in.channels});
}

void lower_to_convolution(const Layer& layer, const Shape& in, Lowering& to) {
  Operation& operation = to.add(kConvolution, layer, in, layer.type->out_shape(layer, in));
  operation.parameters = {
      to.parameters({layer.key}, in.channels, std::int64_t{operation.kernel} * operation.kernel)};
}

void ask_for_convolution(const Operation& operation, int images, Precision precision,
                         std::vector<ConvolutionPattern>& to) {
  to.push_back(convolution_pattern(operation, images, precision));
}

}  // namespace

OperationCount count_products(const Operation& operation) {
  std::int64_t products = 0;
  for (const StackedParameters& parameters : operation.parameters) {
    products += parameters.inputs() * operation.out.size();
  }
  return {.forward = products, .input_gradient = products};
}

constinit const LayerType kConvolutionLayer = {.name = "conv",
                                               .keys = kConvolutionKeys,
                                               .out_shape = convolution_out_shape,
                                               .add_parameters = add_convolution_parameters,
                                               .lower = lower_to_convolution};

constinit const LayerType kLinearLayer = {.name = "linear",
                                          .keys = kLinearKeys,
                                          .out_shape = linear_out_shape,
                                          .add_parameters = add_linear_parameters,
                                          .lower = lower_to_convolution};

constinit const OperationType kConvolution = {.name = "convolution",
                                              .plan_for_cpu = plan_convolution,
                                              .cpu_bytes = cpu_convolution_bytes,
#ifdef EBM_CUDA
                                              .gpu = &kGpuConvolution,
                                              .gpu_bytes = gpu_convolution_bytes,
#endif
                                              .library_convolutions = ask_for_convolution,
                                              .count = count_products};

constinit const OperationType kImageConvolution = {.name = "image_convolution",
                                                   .plan_for_cpu = plan_image_convolution,
                                                   .cpu_bytes = cpu_image_convolution_bytes,
#ifdef EBM_CUDA
                                                   .gpu = &kGpuImageConvolution,
                                                   .gpu_bytes = gpu_image_convolution_bytes,
#endif
                                                   .count = count_products};

}  // namespace ebm
