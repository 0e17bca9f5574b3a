// What a convolution is: the products that it sums. Arrays are channels last.
#pragma once

#include <cstddef>
#include <functional>

#include "cuda/nn/convolution_shape.h"

namespace ebm {

inline std::size_t input_size(const ConvolutionShape& s) {
  return static_cast<std::size_t>(s.images) * s.height * s.width * s.in_channels;
}
inline std::size_t output_size(const ConvolutionShape& s) {
  return static_cast<std::size_t>(s.images) * s.out_height() * s.out_width() * s.out_channels;
}
inline std::size_t weight_size(const ConvolutionShape& s) {
  return static_cast<std::size_t>(s.out_channels) * s.kernel * s.kernel * s.in_channels;
}

/// Calls product(input, output, weight) with the places of every product that a convolution sums.
inline void for_each_product(
    const ConvolutionShape& s,
    const std::function<void(std::size_t, std::size_t, std::size_t)>& product) {
  std::size_t output = 0;
  for (int image = 0; image < s.images; ++image) {
    for (int row = 0; row < s.out_height(); ++row) {
      for (int column = 0; column < s.out_width(); ++column) {
        for (int to = 0; to < s.out_channels; ++to, ++output) {
          std::size_t weight = static_cast<std::size_t>(to) * s.kernel * s.kernel * s.in_channels;
          for (int i = 0; i < s.kernel; ++i) {
            for (int j = 0; j < s.kernel; ++j, weight += s.in_channels) {
              const int y = row * s.stride + i - s.padding;
              const int x = column * s.stride + j - s.padding;
              if (y < 0 || y >= s.height || x < 0 || x >= s.width) {
                continue;
              }
              const std::size_t input =
                  ((static_cast<std::size_t>(image) * s.height + y) * s.width + x) * s.in_channels;
              for (int from = 0; from < s.in_channels; ++from) {
                product(input + from, output, weight + from);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace ebm
