// The convolutions that a network asks a library for. Needs no device.
#pragma once

#include <array>
#include <vector>

#include "cuda/nn/convolution_shape.h"
#include "cuda/nn/network.h"
#include "cuda/nn/operation.h"
#include "cuda/nn/precision.h"

namespace ebm {

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

/// Of an operation that is a convolution.
ConvolutionPattern convolution_pattern(const Operation& operation, int images, Precision precision);

/// Those that a network asks a library for, each once, in batches of so many images; none of a
/// perceptron, whose chains have a kernel of their own.
std::vector<ConvolutionPattern> library_convolutions(const Network& network, int images,
                                                     Precision precision);

}  // namespace ebm
