#include "cuda/nn/gpu/convolution_pattern.h"

#include <algorithm>

#include "cuda/nn/lowering.h"

namespace ebm {

ConvolutionPattern convolution_pattern(const Operation& operation, int images,
                                       Precision precision) {
  return {.shape = convolution_shape(images, operation),
          .precision = precision,
          .leaky_relu = operation.leaky_relu,
          .input_is_leaky = operation.input_is_leaky};
}

std::vector<ConvolutionPattern> library_convolutions(const Network& network, int images,
                                                     Precision precision) {
  std::vector<ConvolutionPattern> patterns;
  if (perceptron_widths(network)) {
    return patterns;
  }
  for (const Operation& operation : lower(network, Executor::gpu).operations) {
    if (operation.type->library_convolutions == nullptr) {
      continue;
    }
    std::vector<ConvolutionPattern> asked;
    operation.type->library_convolutions(operation, images, precision, asked);
    for (const ConvolutionPattern& pattern : asked) {
      if (std::ranges::find(patterns, pattern) == patterns.end()) {
        patterns.push_back(pattern);
      }
    }
  }
  return patterns;
}

}  // namespace ebm
