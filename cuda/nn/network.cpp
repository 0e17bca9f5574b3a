#include "cuda/nn/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "cuda/kernels/random_states.cuh"

namespace ebm {
namespace {

std::string to_string(const Shape& s) {
  return fmt::format("{}x{}x{}", s.channels, s.height, s.width);
}

std::string_view to_string(LayerKind kind) { return names(kind)[static_cast<std::size_t>(kind)]; }

// Far above any network, and far below where sizes overflow.
constexpr double kLargestActivation = 1 << 28;
constexpr double kMostParameters = 1 << 30;
constexpr std::size_t kMostLayers = 1000;

/// Whether a shape's values can be counted and held.
bool is_holdable(const Shape& s) {
  return static_cast<double>(s.channels) * s.height * s.width <= kLargestActivation;
}

Shape require_holdable(const Shape& s) {
  if (!is_holdable(s)) {
    throw std::invalid_argument(
        fmt::format("its output would be {}, which is too large", to_string(s)));
  }
  return s;
}

/// The shape after a layer; throws std::invalid_argument with the reason when it does not fit.
Shape shape_after(const Layer& layer, const Shape& in) {
  const auto require = [](bool ok, std::string_view what) {
    if (!ok) {
      throw std::invalid_argument(std::string(what));
    }
  };
  switch (layer.kind) {
    case LayerKind::conv: {
      require(layer.outputs >= 1 && layer.kernel >= 1 && layer.stride >= 1 && layer.padding >= 0,
              "needs outputs, kernel and stride of at least 1 and padding of at least 0");
      const int height = in.height + 2 * layer.padding - layer.kernel;
      const int width = in.width + 2 * layer.padding - layer.kernel;
      require(height >= 0 && width >= 0, "the kernel is larger than the padded input");
      return {layer.outputs, height / layer.stride + 1, width / layer.stride + 1};
    }
    case LayerKind::leaky_relu:
      return in;
    case LayerKind::max_pool:
      require(in.height % 2 == 0 && in.width % 2 == 0, "needs an even height and width");
      return {in.channels, in.height / 2, in.width / 2};
    case LayerKind::nonlocal:
      require(in.channels % 2 == 0, "needs an even number of channels");
      require(in.height % 2 == 0 && in.width % 2 == 0, "needs an even height and width");
      return in;
    case LayerKind::flatten:
      return {static_cast<int>(in.size()), 1, 1};
    case LayerKind::linear:
      require(layer.outputs >= 1, "needs at least one output");
      require(in.height == 1 && in.width == 1, "needs a flat input; put a flatten layer before it");
      return {layer.outputs, 1, 1};
  }
  throw std::invalid_argument("unknown kind of layer");
}

Layer conv(std::string key, int outputs, int kernel, int stride, int padding) {
  return {LayerKind::conv, std::move(key), outputs, kernel, stride, padding};
}
Layer plain(LayerKind kind, std::string key = {}) { return {.kind = kind, .key = std::move(key)}; }
Layer linear(std::string key, int outputs) {
  return {.kind = LayerKind::linear, .key = std::move(key), .outputs = outputs};
}

Network toy_network(int n) {
  const Layer relu = plain(LayerKind::leaky_relu);
  return {"toy",
          {2, 1, 1},
          {conv("f.0", n, 1, 1, 0), relu, conv("f.2", 2 * n, 1, 1, 0), relu,
           conv("f.4", 2 * n, 1, 1, 0), relu, conv("f.6", 2 * n, 1, 1, 0), relu,
           conv("f.8", 1, 1, 1, 0)}};
}

Network vanilla_network(int channels, int n) {
  const Layer relu = plain(LayerKind::leaky_relu);
  return {"vanilla",
          {channels, 32, 32},
          {conv("f.0", n, 3, 1, 1), relu, conv("f.2", 2 * n, 4, 2, 1), relu,
           conv("f.4", 4 * n, 4, 2, 1), relu, conv("f.6", 8 * n, 4, 2, 1), relu,
           conv("f.8", 1, 4, 1, 0)}};
}

Network nonlocal_network(int channels, int n) {
  const Layer relu = plain(LayerKind::leaky_relu);
  const Layer pool = plain(LayerKind::max_pool);
  return {"nonlocal",
          {channels, 32, 32},
          {conv("convs.0", n, 3, 1, 1), relu, pool, plain(LayerKind::nonlocal, "convs.3"),
           conv("convs.4", 2 * n, 3, 1, 1), relu, pool, plain(LayerKind::nonlocal, "convs.7"),
           conv("convs.8", 4 * n, 3, 1, 1), relu, pool, plain(LayerKind::flatten),
           linear("fc.0", 8 * n), relu, linear("fc.2", 1)}};
}

}  // namespace

std::span<const std::string_view> names(LayerKind /*type*/) {
  static constexpr std::array<std::string_view, 6> kNames{"conv",     "leaky_relu", "max_pool",
                                                          "nonlocal", "flatten",    "linear"};
  return kNames;
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
  if (layers_.empty() || layers_.size() > kMostLayers) {
    throw std::invalid_argument(fmt::format("network {}: has {} layers; 1 to {} can be", name_,
                                            layers_.size(), kMostLayers));
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const Shape in = shapes_.back();
    try {
      shapes_.push_back(require_holdable(shape_after(layer, in)));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(fmt::format("network {}: layer {} ({}) given {}: {}", name_, i,
                                              to_string(layer.kind), to_string(in), error.what()));
    }
    switch (layer.kind) {
      case LayerKind::conv:
        add_parameters(layer.key, {layer.outputs, in.channels, layer.kernel, layer.kernel}, false);
        break;
      case LayerKind::linear:
        add_parameters(layer.key, {layer.outputs, in.channels}, false);
        break;
      case LayerKind::nonlocal: {
        const int half = in.channels / 2;
        add_parameters(layer.key + ".g.0", {half, in.channels, 1, 1}, false);
        add_parameters(layer.key + ".W", {in.channels, half, 1, 1}, true);
        add_parameters(layer.key + ".theta", {half, in.channels, 1, 1}, false);
        add_parameters(layer.key + ".phi.0", {half, in.channels, 1, 1}, false);
        break;
      }
      case LayerKind::leaky_relu:
      case LayerKind::max_pool:
      case LayerKind::flatten:
        break;
    }
  }
  if (shapes_.back().size() != 1) {
    throw std::invalid_argument(
        fmt::format("network {}: an energy is one number, but the last layer gives {}", name_,
                    to_string(shapes_.back())));
  }
}

void Network::add_parameters(const std::string& key, std::vector<std::int64_t> weight_shape,
                             bool starts_at_zero) {
  const std::int64_t outputs = weight_shape[0];
  const double wanted =
      std::reduce(weight_shape.begin(), weight_shape.end(), 1.0, std::multiplies<>{});
  if (wanted + static_cast<double>(parameter_count_) > kMostParameters) {
    throw std::invalid_argument(
        fmt::format("network {}: '{}.weight' of shape ({}) makes it too large", name_, key,
                    fmt::join(weight_shape, ", ")));
  }
  const std::int64_t size =
      std::reduce(weight_shape.begin(), weight_shape.end(), std::int64_t{1}, std::multiplies<>{});
  const std::int64_t fan_in = size / outputs;
  const auto taken = [&](const ParameterTensor& tensor) { return tensor.name == key + ".weight"; };
  if (std::ranges::any_of(parameters_, taken)) {
    throw std::invalid_argument(
        fmt::format("network {}: two layers have the key '{}'", name_, key));
  }
  parameters_.push_back({.name = key + ".weight",
                         .shape = std::move(weight_shape),
                         .offset = parameter_count_,
                         .size = size,
                         .fan_in = fan_in,
                         .starts_at_zero = starts_at_zero});
  parameter_count_ += size;
  parameters_.push_back({.name = key + ".bias",
                         .shape = {outputs},
                         .offset = parameter_count_,
                         .size = outputs,
                         .fan_in = fan_in,
                         .starts_at_zero = starts_at_zero});
  parameter_count_ += outputs;
}

const ParameterTensor& Network::parameter(std::string_view name) const {
  for (const ParameterTensor& tensor : parameters_) {
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
        layer.kind == LayerKind::linear || (layer.kind == LayerKind::conv && layer.kernel == 1 &&
                                            layer.stride == 1 && layer.padding == 0);
    if (linear != linear_next || (!linear && layer.kind != LayerKind::leaky_relu)) {
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
