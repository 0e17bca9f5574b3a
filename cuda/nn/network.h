// A network as data: a list of layers with their shapes and parameters. Executors compile it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/base/buffer.h"

namespace ebm {

/// One state or activation: channels × height × width, channel-major as PyTorch's.
struct Shape {
  int channels = 0;
  int height = 1;
  int width = 1;

  std::int64_t size() const { return std::int64_t{channels} * height * width; }
  bool operator==(const Shape&) const = default;
};

enum class LayerKind { conv, leaky_relu, max_pool, nonlocal, flatten, linear };
/// Their names in lists of layers, in the order of the values.
std::span<const std::string_view> names(LayerKind);

/// One layer as written in a list. `key` is the prefix of its parameters' names in a checkpoint.
struct Layer {
  LayerKind kind = LayerKind::leaky_relu;
  std::string key;
  int outputs = 0;  ///< conv: output channels; linear: output features
  int kernel = 1;   ///< conv: kernel height and width
  int stride = 1;
  int padding = 0;

  bool operator==(const Layer&) const = default;
};

/// A named block of the parameter vector θ. Layout is PyTorch's: (out, in, kh, kw) or (out, in).
struct ParameterTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  ///< of its first value in θ
  std::int64_t size = 0;
  std::int64_t fan_in = 0;      ///< of the layer, also for its bias
  bool starts_at_zero = false;  ///< instead of U(−1/√fan_in, 1/√fan_in)
};

/// An energy f(x; θ): states of shape input() to one number. Immutable.
class Network {
 public:
  /// Checks every layer against the shape that reaches it. Throws std::invalid_argument naming the
  /// layer and the shapes, also where states, activations or θ would be impossibly large.
  Network(std::string name, Shape input, std::vector<Layer> layers);

  const std::string& name() const { return name_; }
  const Shape& input() const { return input_; }
  const std::vector<Layer>& layers() const { return layers_; }
  /// The shape that layer i is given; shape_before(layers().size()) is the output's, 1×1×1.
  const Shape& shape_before(std::size_t i) const { return shapes_[i]; }
  const std::vector<ParameterTensor>& parameters() const { return parameters_; }
  /// The tensor of that name; throws std::out_of_range.
  const ParameterTensor& parameter(std::string_view name) const;
  /// Length of θ.
  std::int64_t parameter_count() const { return parameter_count_; }

 private:
  void add_parameters(const std::string& key, std::vector<std::int64_t> weight_shape,
                      bool starts_at_zero);

  std::string name_;
  Shape input_;
  std::vector<Layer> layers_;
  std::vector<Shape> shapes_;
  std::vector<ParameterTensor> parameters_;
  std::int64_t parameter_count_ = 0;
};

/// The published networks ("toy", "vanilla", "nonlocal") with `features` channels after the first
/// layer. toy: 2×1×1 states; the others channels×32×32. Parameter names are the published
/// state_dict's. Throws std::invalid_argument for an unknown name or impossible sizes.
Network published_network(std::string_view name, int channels, int features);

/// θ at the start of training: every value U(−1/√fan_in, 1/√fan_in), PyTorch's default, but for
/// tensors that start at zero.
Buffer<float> initial_parameters(const Network& network, std::uint64_t seed);

/// The widths of the perceptron that a network is: states of one pixel; pointwise convolutions or
/// linear layers with a leaky_relu between each two. Empty when it is anything else.
std::optional<std::vector<int>> perceptron_widths(const Network& network);

}  // namespace ebm
