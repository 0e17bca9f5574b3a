#include "cuda/nn/cpu/onednn_network.h"

#include <algorithm>
#include <utility>

#include "cuda/kernels/channel_order.cuh"

namespace ebm {

OneDnnNetwork::Part OneDnnNetwork::part(std::shared_ptr<ConvolutionPlan> plan,
                                        std::int64_t first_output, const std::string& key) const {
  return {std::move(plan), first_output, &network_.parameter(key + ".weight"),
          &network_.parameter(key + ".bias")};
}

/// Null where layer i is not the last or does not see its whole input at once.
std::unique_ptr<OneDnnNetwork::Head> OneDnnNetwork::make_head(std::size_t i) const {
  const Layer& layer = network_.layers()[i];
  const Shape& in = network_.shape_before(i);
  const bool sees_all =
      layer.kind == LayerKind::linear || (layer.kind == LayerKind::conv && layer.padding == 0 &&
                                          layer.kernel == in.height && layer.kernel == in.width);
  if (i + 1 != network_.layers().size() || !sees_all) {
    return nullptr;
  }
  return std::make_unique<Head>(Head{Buffer<float>(static_cast<std::size_t>(in.size())), 0,
                                     &network_.parameter(layer.key + ".weight"),
                                     &network_.parameter(layer.key + ".bias")});
}

/// Null where the first layer is not a convolution that image_gradient can do.
std::unique_ptr<ImageGradientWeights> OneDnnNetwork::make_image_gradient() const {
  const Layer& layer = network_.layers().front();
  const Shape& in = network_.input();
  constexpr int kMostChannels = 4;
  if (layer.kind != LayerKind::conv || layer.stride != 1 || layer.padding >= layer.kernel ||
      in.channels > kMostChannels) {
    return nullptr;
  }
  return std::make_unique<ImageGradientWeights>(ImageConvolution{.in_channels = in.channels,
                                                                 .height = in.height,
                                                                 .width = in.width,
                                                                 .out_channels = layer.outputs,
                                                                 .kernel = layer.kernel,
                                                                 .padding = layer.padding});
}

OneDnnNetwork::OneDnnNetwork(Network network, int tile_chains, OperandType factors)
    : network_(std::move(network)), tile_chains_(tile_chains) {
  const std::vector<Layer>& layers = network_.layers();
  const auto is = [&layers](std::size_t i, LayerKind kind) {
    return i < layers.size() && layers[i].kind == kind;
  };
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const Shape& in = network_.shape_before(i);
    PlannedLayer planned;
    switch (layer.kind) {
      case LayerKind::conv:
      case LayerKind::linear: {
        planned.head = make_head(i);
        if (planned.head) {
          break;
        }
        const bool relu_follows =
            is(i + 1, LayerKind::leaky_relu) && !is(i + 2, LayerKind::max_pool);
        planned.convolution = std::make_shared<ConvolutionPlan>(
            ConvolutionShape{.images = tile_chains,
                             .in_channels = in.channels,
                             .height = in.height,
                             .width = in.width,
                             .out_channels = layer.outputs,
                             .kernel = layer.kernel,
                             .stride = layer.stride,
                             .padding = layer.padding},
            relu_follows ? Epilogue::leaky_relu : Epilogue::store, factors);
        planned.parts.push_back(part(planned.convolution, 0, layer.key));
        planned.image_gradient = i == 0 ? make_image_gradient() : nullptr;
        break;
      }
      case LayerKind::nonlocal: {
        const int half = in.channels / 2;
        planned.nonlocal = std::make_unique<NonlocalPlan>(tile_chains, in, factors);
        planned.parts = {part(planned.nonlocal->embed, 0, layer.key + ".theta"),
                         part(planned.nonlocal->embed, half, layer.key + ".phi.0"),
                         part(planned.nonlocal->embed, std::int64_t{2} * half, layer.key + ".g.0"),
                         part(planned.nonlocal->merge, 0, layer.key + ".W")};
        break;
      }
      case LayerKind::leaky_relu:
        planned.pooled_relu = is(i + 1, LayerKind::max_pool);
        planned.relu_done = !planned.pooled_relu && i > 0 && layers_.back().convolution != nullptr;
        break;
      case LayerKind::max_pool:
        planned.pooled_relu = i > 0 && is(i - 1, LayerKind::leaky_relu);
        break;
      case LayerKind::flatten:
        break;
    }
    layers_.push_back(std::move(planned));
  }
}

void OneDnnNetwork::set_parameters(std::span<const float> theta) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const PlannedLayer& layer = layers_[i];
    if (layer.head) {
      Head& head = *layer.head;
      const std::int64_t channels = network_.shape_before(i).channels;
      to_channels_last(1, channels, head.weight_tensor->size / channels,
                       theta.data() + head.weight_tensor->offset, head.weights.data());
      head.bias = theta[static_cast<std::size_t>(head.bias_tensor->offset)];
    }
    if (layer.image_gradient) {
      layer.image_gradient->set(theta.data() + layer.parts.front().weight->offset);
    }
    for (const Part& part : layer.parts) {
      const std::int64_t inputs = part.weight->size / part.bias->size;
      std::copy_n(theta.data() + part.weight->offset, part.weight->size,
                  part.plan->weights().data() + part.first_output * inputs);
      std::copy_n(theta.data() + part.bias->offset, part.bias->size,
                  part.plan->bias().data() + part.first_output);
    }
    for (const Part& part : layer.parts) {
      if (part.first_output == 0) {
        part.plan->prepare();
      }
    }
  }
}

}  // namespace ebm
