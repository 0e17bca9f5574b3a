#include "cuda/nn/gpu/device_lowering.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ebm {
namespace {

using Kind = DeviceOperation::Kind;

/// A first convolution of more channels is a library's business.
constexpr int kMostImageChannels = 4;

/// The layer that many places behind layer i, flattens not counted; null behind the last.
const Layer* layer_after(const Network& network, std::size_t i, int distance) {
  const std::vector<Layer>& layers = network.layers();
  while (distance > 0 && ++i < layers.size()) {
    distance -= layers[i].kind == LayerKind::flatten ? 0 : 1;
  }
  return i < layers.size() ? &layers[i] : nullptr;
}

bool is(const Layer* layer, LayerKind kind) { return layer != nullptr && layer->kind == kind; }

/// Whether layer i is the last and sees its whole input at once.
bool is_head(const Network& network, std::size_t i) {
  const Layer& layer = network.layers()[i];
  const Shape& in = network.shape_before(i);
  return i + 1 == network.layers().size() &&
         (layer.kind == LayerKind::linear ||
          (layer.kind == LayerKind::conv && layer.padding == 0 && layer.kernel == in.height &&
           layer.kernel == in.width));
}

/// From states to activations.
DeviceOperation first_operation(const Network& network) {
  const Layer& first = network.layers().front();
  const Shape& in = network.input();
  if (first.kind != LayerKind::conv || in.channels > kMostImageChannels || is_head(network, 0)) {
    return {.kind = Kind::entrance, .in = in, .out = in};
  }
  return {.kind = Kind::image_convolution,
          .in = in,
          .out = network.shape_before(1),
          .leaky_relu = is(layer_after(network, 0, 1), LayerKind::leaky_relu) &&
                        !is(layer_after(network, 0, 2), LayerKind::max_pool)};
}

/// Whether the LeakyReLU behind layer i is left to it and to the layer after that.
bool takes_leaky_relu(const Network& network, std::size_t i) {
  const Layer* const second = layer_after(network, i, 2);
  return is(layer_after(network, i, 1), LayerKind::leaky_relu) &&
         (is(second, LayerKind::conv) || is(second, LayerKind::linear));
}

void refuse_behind_flatten(std::size_t layer) {
  throw std::invalid_argument(
      "layer " + std::to_string(layer) +
      ": a convolution behind a flatten is not computed on CUDA devices; write a linear layer "
      "instead, or use --device cpu");
}

std::size_t place_of(const Network& network, const Layer* layer) {
  return static_cast<std::size_t>(layer - network.layers().data());
}

}  // namespace

std::vector<DeviceOperation> lower_for_device(const Network& network) {
  std::vector<DeviceOperation> operations{first_operation(network)};
  const DeviceOperation first = operations.front();
  std::size_t i = first.kind == Kind::entrance ? 0 : 1;
  if (first.leaky_relu) {
    i = place_of(network, layer_after(network, 0, 1)) + 1;
  }
  Shape in = first.out;  // in memory: not flattened
  DeviceOperation next;  // what earlier layers left to it
  const auto add = [&](Kind kind, const Shape& out) {
    next.kind = kind;
    next.layer = i;
    next.in = in;
    next.out = out;
    operations.push_back(next);
    in = out;
    next = {};
  };
  for (; i < network.layers().size() && !is_head(network, i); ++i) {
    const Layer& layer = network.layers()[i];
    const Shape& out = network.shape_before(i + 1);
    switch (layer.kind) {
      case LayerKind::flatten:
        break;
      case LayerKind::conv:
      case LayerKind::linear: {
        if (layer.kind == LayerKind::conv && in != network.shape_before(i)) {
          refuse_behind_flatten(i);
        }
        const bool fused = takes_leaky_relu(network, i);
        next.leaky_relu = fused;
        add(Kind::convolution, out);
        if (fused) {
          next.input_is_leaky = true;
          i = place_of(network, layer_after(network, i, 1));
        }
        break;
      }
      case LayerKind::leaky_relu:
        if (is(layer_after(network, i, 1), LayerKind::max_pool)) {
          next.leaky_relu = true;
        } else {
          add(Kind::leaky_relu, in);
        }
        break;
      case LayerKind::max_pool:
        add(Kind::max_pool, out);
        break;
      case LayerKind::nonlocal:
        add(Kind::nonlocal, out);
        break;
    }
  }
  add(Kind::head, Shape{.channels = 1});
  return operations;
}

ConvolutionShape convolution_shape(int images, const Layer& layer, const Shape& in) {
  if (layer.kind == LayerKind::linear) {
    return {.images = images,
            .in_channels = static_cast<int>(in.size()),
            .out_channels = layer.outputs};
  }
  return {.images = images,
          .in_channels = in.channels,
          .height = in.height,
          .width = in.width,
          .out_channels = layer.outputs,
          .kernel = layer.kernel,
          .stride = layer.stride,
          .padding = layer.padding};
}

NonlocalConvolutions nonlocal_convolutions(int images, const Shape& in) {
  const int half = in.channels / 2;
  const ConvolutionShape qkv{.images = images,
                             .in_channels = in.channels,
                             .height = in.height,
                             .width = in.width,
                             .out_channels = 3 * half};
  ConvolutionShape output = qkv;
  output.in_channels = half;
  output.out_channels = in.channels;
  return {qkv, output};
}

std::vector<ConvolutionPattern> library_convolutions(const Network& network, int images,
                                                     Precision precision) {
  std::vector<ConvolutionPattern> patterns;
  if (perceptron_widths(network)) {
    return patterns;
  }
  const auto add = [&](const ConvolutionPattern& pattern) {
    if (std::ranges::find(patterns, pattern) == patterns.end()) {
      patterns.push_back(pattern);
    }
  };
  for (const DeviceOperation& operation : lower_for_device(network)) {
    if (operation.kind == Kind::convolution) {
      add({.shape = convolution_shape(images, network.layers()[operation.layer], operation.in),
           .precision = precision,
           .leaky_relu = operation.leaky_relu,
           .input_is_leaky = operation.input_is_leaky});
    } else if (operation.kind == Kind::nonlocal) {
      const auto [qkv, output] = nonlocal_convolutions(images, operation.in);
      add({.shape = qkv, .precision = precision});
      add({.shape = output, .precision = precision});
    }
  }
  return patterns;
}

}  // namespace ebm
