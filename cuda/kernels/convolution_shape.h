// The sizes of a convolution.
#pragma once

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

  int out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

}  // namespace ebm
