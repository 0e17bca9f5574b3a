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

struct LayerType;

/// One layer as written in a list. `key` is the prefix of its parameters' names in a checkpoint.
struct Layer {
  const LayerType* type = nullptr;  ///< one of layer_types()
  std::string key{};
  int outputs = 0;  ///< conv: output channels; linear: output features
  int kernel = 1;   ///< conv, avg_pool: kernel height and width
  int stride = 1;
  int padding = 0;
  std::vector<Layer> layers{};  ///< residual: those whose output is added to its input

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

/// The parameter vector θ as layers make it, one named tensor after another.
class ParameterList {
 public:
  /// Appends KEY.weight and KEY.bias of an affine map; the weight's first dimension is the outputs.
  /// Throws std::invalid_argument where θ would be impossibly large or has the key already.
  void add(const std::string& key, std::vector<std::int64_t> weight_shape,
           bool starts_at_zero = false);

  const std::vector<ParameterTensor>& tensors() const { return tensors_; }
  std::int64_t count() const { return count_; }

 private:
  std::vector<ParameterTensor> tensors_;
  std::int64_t count_ = 0;
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
  const std::vector<ParameterTensor>& parameters() const { return parameters_.tensors(); }
  /// The tensor of that name; throws std::out_of_range.
  const ParameterTensor& parameter(std::string_view name) const;
  /// Length of θ.
  std::int64_t parameter_count() const { return parameters_.count(); }

 private:
  std::string name_;
  Shape input_;
  std::vector<Layer> layers_;
  std::vector<Shape> shapes_;
  ParameterList parameters_;
};

/// The shape behind a list of layers. Throws std::invalid_argument naming the first that does not
/// fit the shape that reaches it.
Shape shape_behind(std::span<const Layer> layers, Shape in);

/// "CxHxW".
std::string to_string(const Shape& shape);

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
