// A strided convolution's input gradient by subpixels: the convolution between the two kernels is
// summed here, in double.

#include "cuda/nn/gpu/subpixels.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "tests/cuda/nn/gpu/convolution_definition.h"
#include "tests/cuda/nn/gpu/stored_array.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

// Strides 2 and 3, kernels once, twice and three times as large, padding that cuts blocks at the
// border; images with rows that no output depends on; channels in packs and one by one.
constexpr ConvolutionShape kShapes[] = {
    {.images = 2,
     .in_channels = 8,
     .height = 8,
     .width = 6,
     .out_channels = 5,
     .kernel = 4,
     .stride = 2,
     .padding = 1},
    {.images = 3,
     .in_channels = 3,
     .height = 9,
     .width = 11,
     .out_channels = 4,
     .kernel = 4,
     .stride = 2,
     .padding = 0},
    {.images = 2,
     .in_channels = 16,
     .height = 7,
     .width = 8,
     .out_channels = 3,
     .kernel = 2,
     .stride = 2,
     .padding = 0},
    {.images = 1,
     .in_channels = 2,
     .height = 11,
     .width = 10,
     .out_channels = 3,
     .kernel = 9,
     .stride = 3,
     .padding = 4},
    {.images = 2,
     .in_channels = 8,
     .height = 8,
     .width = 8,
     .out_channels = 2,
     .kernel = 3,
     .stride = 3,
     .padding = 2},
};

template <class T>
class Subpixels : public testing::Test {
 protected:
  static constexpr bool kShorter = sizeof(T) == 2;

  static std::vector<float> numbers_of_type(std::size_t n, std::uint32_t seed) {
    return numbers_of(kShorter ? Precision::bf16 : Precision::fp32, n, seed);
  }

  /// The input gradient by subpixels.
  static std::vector<float> gradient(const ConvolutionShape& shape,
                                     const std::vector<float>& weight, const std::vector<float>& dy,
                                     const std::vector<float>& x) {
    const CudaStream stream;
    const ConvolutionShape convolution = subpixel_convolution(shape);
    StoredArray w(stream, kShorter, weight);
    StoredArray turned(stream, kShorter, std::vector<float>(weight_size(convolution), kNan));
    subpixel_weights<T>(stream, shape, static_cast<const T*>(w.data()),
                        static_cast<T*>(turned.data()));
    const std::vector<float> weights = turned.values();
    std::vector<double> sums(output_size(convolution));
    for_each_product(convolution, [&](std::size_t input, std::size_t output, std::size_t at) {
      sums[output] += static_cast<double>(dy[input]) * static_cast<double>(weights[at]);
    });
    StoredArray subpixels(stream, kShorter, std::vector<float>(sums.begin(), sums.end()));
    StoredArray leaky(stream, kShorter, x);
    StoredArray dx(stream, kShorter, std::vector<float>(input_size(shape), kNan));
    from_subpixels<T>(stream, shape, static_cast<const T*>(subpixels.data()),
                      x.empty() ? nullptr : static_cast<const T*>(leaky.data()),
                      static_cast<T*>(dx.data()));
    return dx.values();
  }
};

using Types = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(Subpixels, Types, );

TYPED_TEST(Subpixels, AreTheInputGradient) {
  for (const ConvolutionShape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << "kernel " << shape.kernel << ", stride " << shape.stride
                                    << ", padding " << shape.padding);
    ASSERT_TRUE(has_subpixels(shape));
    EXPECT_EQ(weight_size(subpixel_convolution(shape)), weight_size(shape));
    const std::vector<float> weight = this->numbers_of_type(weight_size(shape), 1);
    const std::vector<float> dy = this->numbers_of_type(output_size(shape), 2);
    const std::vector<float> x = this->numbers_of_type(input_size(shape), 3);
    std::vector<double> exact(x.size());
    std::vector<double> size(x.size());  // of the terms
    for_each_product(shape, [&](std::size_t input, std::size_t output, std::size_t at) {
      const double term = static_cast<double>(dy[output]) * static_cast<double>(weight[at]);
      exact[input] += term;
      size[input] += std::abs(term);
    });
    const double rounding = 2 * (this->kShorter ? 0x1p-9 : kRounding);  // stored twice
    const std::vector<float> plain = this->gradient(shape, weight, dy, {});
    const std::vector<float> leaky = this->gradient(shape, weight, dy, x);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      EXPECT_NEAR(plain[i], exact[i], rounding * size[i]) << i;
      const double slope = x[i] > 0 ? 1 : double{kLeakySlope};
      EXPECT_NEAR(leaky[i], slope * exact[i], rounding * size[i]) << i;
    }
  }
}

TEST(SubpixelShapes, AreOfKernelsThatStridesDivide) {
  EXPECT_FALSE(has_subpixels({.kernel = 3, .stride = 1}));
  EXPECT_FALSE(has_subpixels({.kernel = 3, .stride = 2}));
  EXPECT_TRUE(has_subpixels({.kernel = 4, .stride = 2}));
}

}  // namespace
}  // namespace ebm
