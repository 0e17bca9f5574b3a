// The sizes of a convolution, and what else its forward pass does.
#pragma once

#include "cuda/base/host_device.cuh"

namespace ebm {

/// A convolution of a stack of images with a square kernel.
struct ConvolutionShape {
  int images = 1;
  int in_channels = 1;
  int height = 1;  ///< of the input
  int width = 1;
  int out_channels = 1;
  int kernel = 1;
  int stride = 1;
  int padding = 0;

  EBM_HOST_DEVICE int out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  EBM_HOST_DEVICE int out_width() const { return (width + 2 * padding - kernel) / stride + 1; }

  bool operator==(const ConvolutionShape&) const = default;
};

/// What the forward pass does with W∗x + b in the same sweep.
enum class Epilogue {
  store,       ///< y = W∗x + b
  leaky_relu,  ///< y = LeakyReLU(W∗x + b)
  add,         ///< y += W∗x + b
};

}  // namespace ebm
