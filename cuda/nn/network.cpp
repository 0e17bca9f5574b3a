#include "cuda/nn/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "cuda/kernels/random_states.cuh"
#include "cuda/nn/layer_type.h"
#include "cuda/nn/layers/convolution.h"
#include "cuda/nn/layers/flatten.h"
#include "cuda/nn/layers/leaky_relu.h"
#include "cuda/nn/layers/max_pool.h"
#include "cuda/nn/layers/nonlocal.h"

namespace ebm {
namespace {

// Far above any network, and far below where sizes overflow.
constexpr double kLargestActivation = 1 << 28;
constexpr double kMostParameters = 1 << 30;
constexpr std::size_t kMostLayers = 1000;

/// Whether a shape's values can be counted and held.
bool is_holdable(const Shape& s) {
  return static_cast<double>(s.channels) * s.height * s.width <= kLargestActivation;
}

std::size_t count_layers(std::span<const Layer> layers) {
  std::size_t count = layers.size();
  for (const Layer& layer : layers) {
    count += count_layers(layer.layers);
  }
  return count;
}

Shape require_holdable(const Shape& s) {
  if (!is_holdable(s)) {
    throw std::invalid_argument(
        fmt::format("its output would be {}, which is too large", to_string(s)));
  }
  return s;
}

Layer conv(std::string key, int outputs, int kernel, int stride, int padding) {
  return {&kConvolutionLayer, std::move(key), outputs, kernel, stride, padding};
}
Layer linear(std::string key, int outputs) {
  return {.type = &kLinearLayer, .key = std::move(key), .outputs = outputs};
}
Layer nonlocal(std::string key) { return {.type = &kNonlocalLayer, .key = std::move(key)}; }

Layer relu() { return {.type = &kLeakyReluLayer}; }
Layer pool() { return {.type = &kMaxPoolLayer}; }
Layer flatten() { return {.type = &kFlattenLayer}; }

Network toy_network(int n) {
  return {"toy",
          {2, 1, 1},
          {conv("f.0", n, 1, 1, 0), relu(), conv("f.2", 2 * n, 1, 1, 0), relu(),
           conv("f.4", 2 * n, 1, 1, 0), relu(), conv("f.6", 2 * n, 1, 1, 0), relu(),
           conv("f.8", 1, 1, 1, 0)}};
}

Network vanilla_network(int channels, int n) {
  return {"vanilla",
          {channels, 32, 32},
          {conv("f.0", n, 3, 1, 1), relu(), conv("f.2", 2 * n, 4, 2, 1), relu(),
           conv("f.4", 4 * n, 4, 2, 1), relu(), conv("f.6", 8 * n, 4, 2, 1), relu(),
           conv("f.8", 1, 4, 1, 0)}};
}

Network nonlocal_network(int channels, int n) {
  return {"nonlocal",
          {channels, 32, 32},
          {conv("convs.0", n, 3, 1, 1), relu(), pool(), nonlocal("convs.3"),
           conv("convs.4", 2 * n, 3, 1, 1), relu(), pool(), nonlocal("convs.7"),
           conv("convs.8", 4 * n, 3, 1, 1), relu(), pool(), flatten(), linear("fc.0", 8 * n),
           relu(), linear("fc.2", 1)}};
}

}  // namespace

std::string to_string(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
}

Shape shape_behind(std::span<const Layer> layers, Shape in) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerType& type = *layers[i].type;
    try {
      in = require_holdable(type.out_shape(layers[i], in));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(
          fmt::format("layer {} ({}) given {}: {}", i, type.name, to_string(in), error.what()));
    }
  }
  return in;
}

Network::Network(std::string name, Shape input, std::vector<Layer> layers)
    : name_(std::move(name)), input_(input), layers_(std::move(layers)), shapes_{input} {
  if (input.channels < 1 || input.height < 1 || input.width < 1) {
    throw std::invalid_argument(
        fmt::format("network {}: states of shape {} are empty", name_, to_string(input)));
  }
  if (!is_holdable(input)) {
    throw std::invalid_argument(
        fmt::format("network {}: states of shape {} are too large", name_, to_string(input)));
  }
  if (layers_.empty() || count_layers(layers_) > kMostLayers) {
    throw std::invalid_argument(fmt::format("network {}: has {} layers; 1 to {} can be", name_,
                                            count_layers(layers_), kMostLayers));
  }
  try {
    shape_behind(layers_, input_);
    for (const Layer& layer : layers_) {
      if (layer.type->add_parameters != nullptr) {
        layer.type->add_parameters(layer, shapes_.back(), parameters_);
      }
      shapes_.push_back(layer.type->out_shape(layer, shapes_.back()));
    }
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("network {}: {}", name_, error.what()));
  }
  if (shapes_.back().size() != 1) {
    throw std::invalid_argument(
        fmt::format("network {}: an energy is one number, but the last layer gives {}", name_,
                    to_string(shapes_.back())));
  }
}

void ParameterList::add(const std::string& key, std::vector<std::int64_t> weight_shape,
                        bool starts_at_zero) {
  const std::int64_t outputs = weight_shape[0];
  const double wanted =
      std::reduce(weight_shape.begin(), weight_shape.end(), 1.0, std::multiplies<>{});
  if (wanted + static_cast<double>(count_) > kMostParameters) {
    throw std::invalid_argument(fmt::format("'{}.weight' of shape ({}) makes it too large", key,
                                            fmt::join(weight_shape, ", ")));
  }
  const std::int64_t size =
      std::reduce(weight_shape.begin(), weight_shape.end(), std::int64_t{1}, std::multiplies<>{});
  const auto taken = [&](const ParameterTensor& tensor) { return tensor.name == key + ".weight"; };
  if (std::ranges::any_of(tensors_, taken)) {
    throw std::invalid_argument(fmt::format("two layers have the key '{}'", key));
  }
  const auto append = [&](const char* kind, std::vector<std::int64_t> shape, std::int64_t values) {
    tensors_.push_back({.name = key + kind,
                        .shape = std::move(shape),
                        .offset = count_,
                        .size = values,
                        .fan_in = size / outputs,
                        .starts_at_zero = starts_at_zero});
    count_ += values;
  };
  append(".weight", std::move(weight_shape), size);
  append(".bias", {outputs}, outputs);
}

const ParameterTensor& Network::parameter(std::string_view name) const {
  for (const ParameterTensor& tensor : parameters()) {
    if (tensor.name == name) {
      return tensor;
    }
  }
  throw std::out_of_range(fmt::format("network {} has no parameter '{}'", name_, name));
}

Network published_network(std::string_view name, int channels, int features) {
  constexpr int kMostFeatures = 1024;
  constexpr int kMostChannels = 1024;
  if (features < 1 || features > kMostFeatures) {
    throw std::invalid_argument(
        fmt::format("network {}: features must be 1 to {}, not {}", name, kMostFeatures, features));
  }
  if (channels < 1 || channels > kMostChannels) {
    throw std::invalid_argument(
        fmt::format("network {}: channels must be 1 to {}, not {}", name, kMostChannels, channels));
  }
  if (name == "toy") {
    if (channels != 2) {
      throw std::invalid_argument(
          fmt::format("network toy: its states have 2 channels, not {}", channels));
    }
    return toy_network(features);
  }
  if (name == "vanilla") {
    return vanilla_network(channels, features);
  }
  if (name == "nonlocal") {
    return nonlocal_network(channels, features);
  }
  throw std::invalid_argument(
      fmt::format("there is no network '{}'; there are toy, vanilla and nonlocal", name));
}

Buffer<float> initial_parameters(const Network& network, std::uint64_t seed) {
  Buffer<float> theta(static_cast<std::size_t>(network.parameter_count()));
  std::uint32_t index = 0;
  for (const ParameterTensor& tensor : network.parameters()) {
    if (!tensor.starts_at_zero) {
      const auto bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(tensor.fan_in)));
      const std::int64_t outputs = tensor.shape[0];
      fill_uniform(Queue(), {seed, Purpose::parameters, index}, bound, outputs,
                   tensor.size / outputs, theta.data() + tensor.offset);
    }
    ++index;
  }
  return theta;
}

std::optional<std::vector<int>> perceptron_widths(const Network& network) {
  const Shape& input = network.input();
  if (input.height != 1 || input.width != 1) {
    return std::nullopt;
  }
  std::vector<int> widths{input.channels};
  bool linear_next = true;
  for (const Layer& layer : network.layers()) {
    const bool linear =
        layer.type == &kLinearLayer || (layer.type == &kConvolutionLayer && layer.kernel == 1 &&
                                        layer.stride == 1 && layer.padding == 0);
    if (linear != linear_next || (!linear && layer.type != &kLeakyReluLayer)) {
      return std::nullopt;
    }
    if (linear) {
      widths.push_back(layer.outputs);
    }
    linear_next = !linear;
  }
  return linear_next ? std::nullopt : std::optional(widths);
}

}  // namespace ebm
