// The input gradient of a strided convolution as a convolution without stride. In builds with CUDA
// only.
//
// Of a convolution of stride s and kernel k = s·q with padding p, pixel s·b + r of the padded input
// (in either direction, 0 ≤ r < s) meets the outputs b − j with the kernel's places s·j + r,
// 0 ≤ j < q. So the gradients of the s × s pixels of a block b, its subpixels, are the s²·C
// channels of one pixel of a q × q convolution of dy, padded with q − 1 on each side. That has the
// same products as the gradient has, and libraries compute it faster: on an H200 cuDNN takes 16 µs
// for it where its own gradient takes 32 (100 images of 32×32×32 from 64 channels, k = 4, s = 2,
// TF32). (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?".)
#pragma once

#include <cstdint>

#include "cuda/device/cuda_stream.h"
#include "cuda/nn/convolution_shape.h"

namespace ebm {

/// Whether a convolution's input gradient can be computed so.
constexpr bool has_subpixels(const ConvolutionShape& shape) {
  return shape.stride > 1 && shape.kernel % shape.stride == 0;
}

/// The convolution from dy to subpixels, channel (r_row·s + r_column)·C + c.
inline ConvolutionShape subpixel_convolution(const ConvolutionShape& shape) {
  const int kernel = shape.kernel / shape.stride;
  return {.images = shape.images,
          .in_channels = shape.out_channels,
          .height = shape.out_height(),
          .width = shape.out_width(),
          .out_channels = shape.stride * shape.stride * shape.in_channels,
          .kernel = kernel,
          .stride = 1,
          .padding = kernel - 1};
}

/// Its weights, as many as W has, from W; both out × kernel × kernel × in. T is float or Bfloat16.
template <class T>
void subpixel_weights(const CudaStream& stream, const ConvolutionShape& shape, const T* weight,
                      T* subpixel_weight);

/// dx, images × pixels × C, from its output. Where x, a LeakyReLU's output, is not null, times that
/// LeakyReLU's derivative.
template <class T>
void from_subpixels(const CudaStream& stream, const ConvolutionShape& shape, const T* subpixels,
                    const T* x, T* dx);

}  // namespace ebm
