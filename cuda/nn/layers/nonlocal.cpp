#include "cuda/nn/layers/nonlocal.h"

#include "cuda/nn/cpu/nonlocal_block.h"
#include "cuda/nn/lowering.h"
#ifdef EBM_CUDA
#include "cuda/nn/gpu/nonlocal_operation.h"
#endif
#include "cuda/nn/gpu/convolution_pattern.h"

namespace ebm {
namespace {

Shape nonlocal_out_shape(const Layer& /*layer*/, const Shape& in) {
  require_fit(in.channels % 2 == 0, "needs an even number of channels");
  require_fit(in.height % 2 == 0 && in.width % 2 == 0, "needs an even height and width");
  return in;
}

void add_nonlocal_parameters(const Layer& layer, const Shape& in, ParameterList& to) {
  const int half = in.channels / 2;
  to.add(layer.key + ".g.0", {half, in.channels, 1, 1});
  to.add(layer.key + ".W", {in.channels, half, 1, 1}, true);
  to.add(layer.key + ".theta", {half, in.channels, 1, 1});
  to.add(layer.key + ".phi.0", {half, in.channels, 1, 1});
}

void lower_nonlocal(const Layer& layer, const Shape& in, Lowering& to) {
  const std::string& key = layer.key;
  to.add(kNonlocal, layer, in, in).parameters = {
      to.parameters({key + ".theta", key + ".phi.0", key + ".g.0"}, in.channels, 1),
      to.parameters({key + ".W"}, in.channels / 2, 1)};
}

void ask_for_nonlocal_convolutions(const Operation& operation, int images, Precision precision,
                                   std::vector<ConvolutionPattern>& to) {
  const auto [qkv, projection] = nonlocal_convolutions(images, operation.in);
  to.push_back({.shape = qkv, .precision = precision});
  to.push_back({.shape = projection, .precision = precision});
}

OperationCount count_nonlocal(const Operation& operation) {
  const std::int64_t half = operation.in.channels / 2;
  const std::int64_t maps = 4 * operation.in.size() * half;  // θ, φ, g, W
  const std::int64_t product = pixels(operation.in) * (pixels(operation.in) / 4) * half;
  return {.forward = maps + 2 * product,          // QKᵀ and AV
          .input_gradient = maps + 4 * product};  // of A, V, Q and K
}

}  // namespace

NonlocalConvolutions nonlocal_convolutions(int images, const Shape& in) {
  const int half = in.channels / 2;
  const ConvolutionShape qkv{.images = images,
                             .in_channels = in.channels,
                             .height = in.height,
                             .width = in.width,
                             .out_channels = 3 * half};
  ConvolutionShape projection = qkv;
  projection.in_channels = half;
  projection.out_channels = in.channels;
  return {qkv, projection};
}

constinit const LayerType kNonlocalLayer = {.name = "nonlocal",
                                            .out_shape = nonlocal_out_shape,
                                            .add_parameters = add_nonlocal_parameters,
                                            .lower = lower_nonlocal};

constinit const OperationType kNonlocal = {.name = "nonlocal",
                                           .plan_for_cpu = plan_nonlocal,
                                           .cpu_bytes = cpu_nonlocal_bytes,
#ifdef EBM_CUDA
                                           .gpu = &kGpuNonlocal,
                                           .gpu_bytes = gpu_nonlocal_bytes,
#endif
                                           .library_convolutions = ask_for_nonlocal_convolutions,
                                           .count = count_nonlocal};

}  // namespace ebm
