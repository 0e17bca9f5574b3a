// The gradient of a convolution with few input channels, against the plain sum in double.

#include "cuda/nn/cpu/first_layer_gradient.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "tests/support/goldens.h"

namespace ebm {

void PrintTo(const ImageConvolution& c, std::ostream* out) {
  *out << c.in_channels << "x" << c.height << "x" << c.width << " to " << c.out_channels
       << ", kernel " << c.kernel << ", padding " << c.padding;
}

namespace {

/// Σ_o Σ_kh Σ_kw, as the header has it; channel-major.
std::vector<double> naive_gradient(const ImageConvolution& c, const std::vector<float>& weights,
                                   const std::vector<float>& d) {
  std::vector<double> dx(static_cast<std::size_t>(c.in_channels * c.height * c.width));
  for (int in = 0; in < c.in_channels; ++in) {
    for (int o = 0; o < c.out_channels; ++o) {
      for (int row = 0; row < c.out_height(); ++row) {
        for (int column = 0; column < c.out_width(); ++column) {
          for (int kh = 0; kh < c.kernel; ++kh) {
            for (int kw = 0; kw < c.kernel; ++kw) {
              const int h = row - c.padding + kh;
              const int w = column - c.padding + kw;
              if (h >= 0 && h < c.height && w >= 0 && w < c.width) {
                const int from = (row * c.out_width() + column) * c.out_channels + o;
                const int weight = ((o * c.in_channels + in) * c.kernel + kh) * c.kernel + kw;
                dx[static_cast<std::size_t>((in * c.height + h) * c.width + w)] +=
                    static_cast<double>(d[static_cast<std::size_t>(from)]) *
                    static_cast<double>(weights[static_cast<std::size_t>(weight)]);
              }
            }
          }
        }
      }
    }
  }
  return dx;
}

class ImageGradient : public testing::TestWithParam<ImageConvolution> {};

TEST_P(ImageGradient, MatchesThePlainSum) {
  const ImageConvolution c = GetParam();
  const auto weights = hashed_floats(
      "image_gradient/w", std::int64_t{c.out_channels} * c.in_channels * c.kernel * c.kernel);
  const std::int64_t outputs = std::int64_t{c.out_height()} * c.out_width() * c.out_channels;
  const auto dy = hashed_floats("image_gradient/dy", outputs);
  const auto y = hashed_floats("image_gradient/y", outputs);
  std::vector<float> masked(dy.size());
  leaky_relu_backward({}, outputs, y.data(), dy.data(), masked.data());

  ImageGradientWeights prepared(c);
  prepared.set(weights.data());
  std::vector<float> scratch(static_cast<std::size_t>(image_gradient_scratch(c)));
  const auto values = static_cast<std::size_t>(c.in_channels * c.height * c.width);
  std::vector<float> dx(values + 1, 7.0F);
  const std::vector<double> expected = naive_gradient(c, weights, dy);
  const std::vector<double> expected_of_masked = naive_gradient(c, weights, masked);
  // Narrower vectors are other processors'; each finds what those before it left in the scratch.
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    image_gradient(prepared, dy.data(), nullptr, scratch.data(), dx.data(), lanes);
    EXPECT_EQ(dx.back(), 7.0F) << "written past the end";
    EXPECT_LT(relative_error(std::span(dx).first(values), expected), 1e-6) << lanes << " lanes";
    image_gradient(prepared, dy.data(), y.data(), scratch.data(), dx.data(), lanes);
    EXPECT_LT(relative_error(std::span(dx).first(values), expected_of_masked), 1e-6)
        << lanes << " lanes";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ImageGradient,
    testing::Values(ImageConvolution{3, 32, 32, 32, 3, 1}, ImageConvolution{1, 32, 32, 32, 3, 1},
                    ImageConvolution{1, 7, 5, 3, 3, 1}, ImageConvolution{2, 9, 33, 17, 3, 1},
                    ImageConvolution{3, 6, 70, 40, 5, 2}, ImageConvolution{4, 5, 20, 48, 4, 0},
                    ImageConvolution{4, 3, 3, 16, 3, 2}, ImageConvolution{1, 1, 1, 1, 1, 0}));

}  // namespace
}  // namespace ebm
