// What a CUDA device computes for a network's layers: which of them are one operation, and what
// that operation's convolutions look like. Needs no device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/nn/convolution_shape.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// One operation, for one layer of the network and, where that follows, its LeakyReLU.
///
/// A LeakyReLU between two layers may be computed by the first as it writes its output. Then it is
/// the second that takes its derivative as it writes its input's gradient.
struct DeviceOperation {
  enum class Kind {
    entrance,           ///< states, channel-major, become activations, channels last
    image_convolution,  ///< a first convolution, straight from the states; takes its own
                        ///< LeakyReLU's derivative
    convolution,        ///< or a linear layer
    leaky_relu,         ///< that no neighbour computes
    max_pool,           ///< `leaky_relu`: the one before it
    nonlocal,
    head,  ///< the last layer, if it sees its whole input at once; else f is what there is
  };

  Kind kind = Kind::entrance;
  std::size_t layer = 0;  ///< its number in the network; of a head of no layer, their count
  Shape in{};             ///< in memory, that before any flatten
  Shape out{};
  bool leaky_relu = false;      ///< it computes a LeakyReLU, too
  bool input_is_leaky = false;  ///< its input is a LeakyReLU's output, whose derivative it takes

  bool operator==(const DeviceOperation&) const = default;
};

/// The operations in the order of forward passes: entrance or image_convolution first, head last.
/// Throws std::invalid_argument for a list of layers that only the CPU computes: a convolution with
/// a kernel above 1 behind a flatten.
std::vector<DeviceOperation> lower_for_device(const Network& network);

/// A convolution or linear layer of so many images. `in` is the input's shape in memory.
ConvolutionShape convolution_shape(int images, const Layer& layer, const Shape& in);

/// The convolutions of a nonlocal block, all with a kernel of 1: queries, keys and values (θ, φ, g)
/// as one, and the output projection (W).
struct NonlocalConvolutions {
  ConvolutionShape qkv;
  ConvolutionShape output;
};
NonlocalConvolutions nonlocal_convolutions(int images, const Shape& in);

/// What a convolution is asked for: y from x; dx from dy; dW from x and dy.
enum class ConvolutionPass { forward, input_gradient, weight_gradient };
inline constexpr std::array kConvolutionPasses = {
    ConvolutionPass::forward, ConvolutionPass::input_gradient, ConvolutionPass::weight_gradient};

/// One convolution of a network, with the element-by-element work around it. A linear layer is one
/// with kernel 1 on images of one pixel.
struct ConvolutionPattern {
  ConvolutionShape shape;
  Precision precision = Precision::tf32;
  bool leaky_relu = false;      ///< y = LeakyReLU(W∗x + b) instead of W∗x + b
  bool input_is_leaky = false;  ///< x is a LeakyReLU's output, whose input the gradient goes to

  bool operator==(const ConvolutionPattern&) const = default;
};

/// Those that a network asks a library for, each once, in batches of so many images; none of a
/// perceptron, whose chains have a kernel of their own. Throws as lower_for_device().
std::vector<ConvolutionPattern> library_convolutions(const Network& network, int images,
                                                     Precision precision);

}  // namespace ebm
