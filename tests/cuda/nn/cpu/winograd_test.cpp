// Convolutions by Winograd's algorithm, and the products under them, against the plain sums in
// double.

#include "cuda/nn/cpu/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/cpu/panel_product.h"
#include "tests/support/goldens.h"

namespace ebm {

void PrintTo(const ConvolutionShape& s, std::ostream* out) {
  *out << s.images << " images " << s.in_channels << "x" << s.height << "x" << s.width << " to "
       << s.out_channels << ", kernel " << s.kernel << ", stride " << s.stride << ", padding "
       << s.padding;
}

namespace {

std::int64_t inputs(const ConvolutionShape& s) {
  return std::int64_t{s.images} * s.height * s.width * s.in_channels;
}
std::int64_t outputs(const ConvolutionShape& s) {
  return std::int64_t{s.images} * s.out_height() * s.out_width() * s.out_channels;
}

/// Calls visit(place in x, place in weights, place in y) for every product of the convolution.
template <class Visit>
void for_each_product(const ConvolutionShape& s, const Visit& visit) {
  std::size_t y = 0;
  for (int image = 0; image < s.images; ++image) {
    for (int row = 0; row < s.out_height(); ++row) {
      for (int column = 0; column < s.out_width(); ++column) {
        for (int o = 0; o < s.out_channels; ++o, ++y) {
          for (int kh = 0; kh < s.kernel; ++kh) {
            for (int kw = 0; kw < s.kernel; ++kw) {
              const int h = row * s.stride - s.padding + kh;
              const int w = column * s.stride - s.padding + kw;
              if (h < 0 || h >= s.height || w < 0 || w >= s.width) {
                continue;
              }
              for (int c = 0; c < s.in_channels; ++c) {
                visit(static_cast<std::size_t>(
                          ((image * s.height + h) * s.width + w) * s.in_channels + c),
                      static_cast<std::size_t>(
                          ((o * s.in_channels + c) * s.kernel + kh) * s.kernel + kw),
                      y);
              }
            }
          }
        }
      }
    }
  }
}

struct Case {
  ConvolutionShape shape;
  int tile;
};

void PrintTo(const Case& c, std::ostream* out) {
  PrintTo(c.shape, out);
  *out << ", tiles of " << c.tile << "x" << c.tile;
}

class Winograd : public testing::TestWithParam<Case> {
 protected:
  const ConvolutionShape shape_ = GetParam().shape;
  const std::vector<float> weights_ =
      hashed_floats("winograd/w", std::int64_t{shape_.out_channels} * shape_.in_channels *
                                      shape_.kernel * shape_.kernel);
  WinogradConvolution convolution_{shape_, GetParam().tile};
  std::vector<float> scratch_;

  void SetUp() override {
    ASSERT_TRUE(WinogradConvolution::can_do(shape_));
    convolution_.set(weights_.data());
    scratch_.resize(static_cast<std::size_t>(convolution_.scratch_values()));
  }
};

TEST_P(Winograd, OutputsMatchThePlainSum) {
  const auto x = hashed_floats("winograd/x", inputs(shape_));
  const auto bias = hashed_floats("winograd/bias", shape_.out_channels);
  std::vector<double> expected(static_cast<std::size_t>(outputs(shape_)));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expected[i] = static_cast<double>(bias[i % bias.size()]);
  }
  for_each_product(shape_, [&](std::size_t at, std::size_t weight, std::size_t to) {
    expected[to] += static_cast<double>(x[at]) * static_cast<double>(weights_[weight]);
  });
  std::vector<double> activated = expected;
  for (double& value : activated) {
    value = value > 0 ? value : value * static_cast<double>(kLeakySlope);
  }
  std::vector<float> y(expected.size() + 1, 7.0F);
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    convolution_.forward(x.data(), bias.data(), 1, scratch_.data(), y.data(), lanes);
    EXPECT_EQ(y.back(), 7.0F) << "written past the end";
    EXPECT_LT(relative_error(std::span(y).first(expected.size()), expected), 1e-6) << lanes;
    convolution_.forward(x.data(), bias.data(), kLeakySlope, scratch_.data(), y.data(), lanes);
    EXPECT_LT(relative_error(std::span(y).first(expected.size()), activated), 1e-6) << lanes;
  }
}

TEST_P(Winograd, InputGradientMatchesThePlainSum) {
  const auto dy = hashed_floats("winograd/dy", outputs(shape_));
  const auto y = hashed_floats("winograd/y", outputs(shape_));
  for (const bool has_relu : {false, true}) {
    std::vector<double> expected(static_cast<std::size_t>(inputs(shape_)));
    for_each_product(shape_, [&](std::size_t to, std::size_t weight, std::size_t from) {
      const double factor = has_relu && y[from] <= 0 ? static_cast<double>(kLeakySlope) : 1;
      expected[to] +=
          factor * static_cast<double>(dy[from]) * static_cast<double>(weights_[weight]);
    });
    std::vector<float> dx(expected.size() + 1, 7.0F);
    for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
      convolution_.backward(dy.data(), has_relu ? y.data() : nullptr, scratch_.data(), dx.data(),
                            lanes);
      EXPECT_EQ(dx.back(), 7.0F) << "written past the end";
      EXPECT_LT(relative_error(std::span(dx).first(expected.size()), expected), 1e-6)
          << lanes << " lanes" << (has_relu ? ", through a LeakyReLU" : "");
    }
  }
}

// Those of the published networks; sizes that tiles do not divide; several rounds of tiles; pixels
// that no output depends on.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const ConvolutionShape& shape :
       {ConvolutionShape{4, 32, 16, 16, 64, 3, 1, 1}, ConvolutionShape{1, 64, 8, 8, 128, 3, 1, 1},
        ConvolutionShape{5, 32, 7, 4, 32, 3, 1, 0}, ConvolutionShape{1, 96, 3, 3, 32, 3, 1, 2},
        ConvolutionShape{1, 32, 1, 1, 32, 3, 1, 1}}) {
    all.push_back({shape, 2});
  }
  for (const ConvolutionShape& shape :
       {ConvolutionShape{4, 32, 32, 32, 64, 4, 2, 1}, ConvolutionShape{4, 64, 16, 16, 128, 4, 2, 1},
        ConvolutionShape{1, 128, 8, 8, 256, 4, 2, 1}, ConvolutionShape{3, 16, 9, 7, 32, 4, 2, 1},
        ConvolutionShape{2, 16, 10, 5, 64, 4, 2, 0}, ConvolutionShape{2, 32, 5, 6, 32, 4, 2, 3},
        ConvolutionShape{1, 16, 4, 4, 32, 4, 2, 0}, ConvolutionShape{2, 32, 7, 11, 32, 4, 2, 0}}) {
    for (const int tile : {2, 4}) {
      all.push_back({shape, tile});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Shapes, Winograd, testing::ValuesIn(cases()));

TEST(WinogradShapes, OthersAreRefused) {
  EXPECT_FALSE(WinogradConvolution::can_do({1, 32, 8, 8, 32, 3, 2, 1}));
  EXPECT_FALSE(WinogradConvolution::can_do({1, 32, 8, 8, 32, 4, 1, 1}));
  EXPECT_FALSE(WinogradConvolution::can_do({1, 32, 8, 8, 32, 5, 1, 2}));
  EXPECT_FALSE(WinogradConvolution::can_do({1, 32, 8, 8, 40, 3, 1, 1}));
  EXPECT_FALSE(WinogradConvolution::can_do({1, 8, 8, 8, 32, 4, 2, 1}));
  EXPECT_FALSE(WinogradConvolution::can_do({1, 3, 32, 32, 32, 3, 1, 1}));
}

TEST(PanelProduct, MatchesThePlainSumForEveryNumberOfRows) {
  constexpr std::int64_t kInner = 2 * 64 + 9;
  constexpr std::int64_t kColumns = 2 * kPanel;
  constexpr std::int64_t kMostRows = 31;
  constexpr std::int64_t kARow = kInner + 3;
  constexpr std::int64_t kCRow = kColumns + 5;
  const auto a = hashed_floats("panel/a", kMostRows * kARow);
  const auto b = hashed_floats("panel/b", kInner * kColumns);
  std::vector<float> panels(b.size());
  for (std::int64_t k = 0; k < kInner; ++k) {
    for (std::int64_t column = 0; column < kColumns; ++column) {
      panels[static_cast<std::size_t>(place_in_panels(kInner, k, column))] =
          b[static_cast<std::size_t>(k * kColumns + column)];
    }
  }
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    for (std::int64_t rows = 0; rows <= kMostRows; ++rows) {
      std::vector<float> c(static_cast<std::size_t>((rows + 1) * kCRow), 7.0F);
      panel_product(rows, kInner, kColumns, a.data(), kARow, panels.data(), c.data(), kCRow, lanes);
      for (std::int64_t i = 0; i <= rows; ++i) {
        for (std::int64_t j = 0; j < kCRow; ++j) {
          double expected = 7;  // what is not a result stays
          if (i < rows && j < kColumns) {
            expected = 0;
            for (std::int64_t k = 0; k < kInner; ++k) {
              expected += static_cast<double>(a[static_cast<std::size_t>(i * kARow + k)]) *
                          static_cast<double>(b[static_cast<std::size_t>(k * kColumns + j)]);
            }
          }
          // Products below 1: 64, 64 and 9 sums that grow to as much, then two sums of those, each
          // rounded to half a unit in the last place.
          ASSERT_NEAR(c[static_cast<std::size_t>(i * kCRow + j)], expected,
                      (64 * 64 + 9 * 9 / 2 + 2 * 137) * 6e-8)
              << rows << " rows, element " << i << ", " << j << ", " << lanes << " lanes";
        }
      }
    }
  }
}

TEST(PanelProduct, AddsSumsOf64Terms) {
  // One after the other, the ones would each be lost beside 2^24.
  constexpr std::int64_t kInner = 3 * 64;
  const std::vector<float> a(kInner, 1.0F);
  std::vector<float> b(static_cast<std::size_t>(kInner * kPanel), 1.0F);
  std::fill_n(b.begin(), 64 * kPanel, 0.0F);
  std::fill_n(b.begin(), kPanel, 0x1p24F);
  std::vector<float> c(kPanel);
  for (int lanes = widest_vectors(); lanes >= 4; lanes /= 2) {
    panel_product(1, kInner, kPanel, a.data(), kInner, b.data(), c.data(), kPanel, lanes);
    EXPECT_EQ(c, std::vector<float>(kPanel, 0x1p24F + 128)) << lanes << " lanes";
  }
}

}  // namespace
}  // namespace ebm
