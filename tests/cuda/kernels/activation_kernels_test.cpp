// LeakyReLU and max-pooling, forward and backward, against their definitions in float64.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

// The launchers under test.

std::vector<float> relu_forward(const std::vector<float>& x) {
  std::vector<float> y(x.size());
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    leaky_relu_forward(stream..., LeakyRelu{}, std::ssize(x), memory.in(x), memory.in_out(y));
  });
  return y;
}

std::vector<float> relu_backward(const std::vector<float>& y, const std::vector<float>& dy) {
  std::vector<float> dx(y.size());
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    leaky_relu_backward(stream..., LeakyRelu{}, std::ssize(y), memory.in(y), memory.in(dy),
                        memory.in_out(dx));
  });
  return dx;
}

struct Pooled {
  std::vector<float> y;
  std::vector<std::uint8_t> places;
};

std::size_t pooled_size(const PoolShape& shape) {
  const int values = shape.images * (shape.height / 2) * (shape.width / 2) * shape.channels;
  return static_cast<std::size_t>(values);
}

std::size_t input_size(const PoolShape& shape) {
  const int values = shape.images * shape.height * shape.width * shape.pixel_stride;
  return static_cast<std::size_t>(values);
}

Pooled pool(const PoolShape& shape, const std::vector<float>& x) {
  Pooled out{.y = std::vector<float>(pooled_size(shape)),
             .places = std::vector<std::uint8_t>(pooled_size(shape))};
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    max_pool_forward(stream..., shape, memory.in(x), memory.in_out(out.y),
                     memory.in_out(out.places));
  });
  return out;
}

/// Starts from a dx full of `fill`.
std::vector<float> unpool(const PoolShape& shape, const std::vector<float>& dy,
                          const Pooled& pooled, float fill) {
  std::vector<float> dx(input_size(shape), fill);
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    max_pool_backward(stream..., shape, memory.in(pooled.y), memory.in(dy),
                      memory.in(pooled.places), memory.in_out(dx));
  });
  return dx;
}

// LeakyReLU.

TEST(LeakyRelu, ForwardIsItsDefinition) {
  for (const std::size_t n : {1U, 15U, 16U, 17U, 1000U}) {
    const std::vector<float> x = numbers(n, 1);
    const std::vector<float> y = relu_forward(x);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(y[i], x[i] > 0 ? x[i] : 0.05F * x[i]) << n << " " << i;
    }
  }
}

TEST(LeakyRelu, ForwardOfSpecialValues) {
  const std::vector<float> y = relu_forward({0.0F, -0.0F, kNan, kInfinity, -kInfinity});
  EXPECT_EQ(y[0], 0.0F);
  EXPECT_EQ(y[1], 0.0F);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], kInfinity);
  EXPECT_EQ(y[4], -kInfinity);
}

TEST(LeakyRelu, BackwardFromTheOutputIsTheDerivativeAtTheInput) {
  for (const std::size_t n : {1U, 15U, 16U, 17U, 1000U}) {
    std::vector<float> x = numbers(n, 1);
    x[n / 2] = 1e-45F;  // the least positive float, whose output must stay positive
    const std::vector<float> dy = numbers(n, 2);
    const std::vector<float> dx = relu_backward(relu_forward(x), dy);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(dx[i], x[i] > 0 ? dy[i] : 0.05F * dy[i]) << n << " " << i;
    }
  }
}

TEST(LeakyRelu, BackwardAtZeroIsTheSlope) {
  EXPECT_EQ(relu_backward(relu_forward({0.0F, -0.0F, -1e-45F}), {1, 1, 1}),
            (std::vector<float>{0.05F, 0.05F, 0.05F}));
}

TEST(LeakyRelu, BackwardKeepsANanOfTheGradient) {
  for (const float dx : relu_backward({1, -1, 0}, {kNan, kNan, kNan})) {
    EXPECT_TRUE(std::isnan(dx));
  }
}

TEST(LeakyRelu, WorksInPlace) {
  const std::vector<float> x = numbers(100, 1);
  const std::vector<float> dy = numbers(100, 2);
  std::vector<float> y = x;
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    float* const place = memory.in_out(y);
    leaky_relu_forward(stream..., LeakyRelu{}, 100, place, place);
  });
  EXPECT_EQ(y, relu_forward(x));
  std::vector<float> dx = dy;
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    float* const place = memory.in_out(dx);
    leaky_relu_backward(stream..., LeakyRelu{}, 100, memory.in(y), place, place);
  });
  EXPECT_EQ(dx, relu_backward(y, dy));
}

// Max-pooling.

TEST(MaxPool, PlaceIsTheFirstOfEquals) {
  // One window, row by row; PyTorch's rule.
  const PoolShape shape{.images = 1, .height = 2, .width = 2, .channels = 1, .pixel_stride = 1};
  const auto expect_place = [&](const std::vector<float>& window, int place) {
    const Pooled out = pool(shape, window);
    EXPECT_EQ(out.places[0], place);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(out.y[0]),
              std::bit_cast<std::uint32_t>(window[static_cast<std::size_t>(place)]));
  };
  expect_place({4, 3, 2, 1}, 0);
  expect_place({1, 4, 3, 2}, 1);
  expect_place({1, 2, 4, 3}, 2);
  expect_place({1, 2, 3, 4}, 3);
  expect_place({5, 5, 5, 5}, 0);
  expect_place({1, 5, 5, 5}, 1);
  expect_place({1, 2, 5, 5}, 2);
  expect_place({0.0F, -0.0F, 0.0F, -0.0F}, 0);
  expect_place({-kInfinity, -kInfinity, -kInfinity, -kInfinity}, 0);
  expect_place({-1, kInfinity, 3, kInfinity}, 1);
}

TEST(MaxPool, ANanWins) {
  const PoolShape shape{.images = 1, .height = 2, .width = 2, .channels = 1, .pixel_stride = 1};
  for (std::size_t place = 0; place < 4; ++place) {
    std::vector<float> window = {1, kInfinity, 3, 4};
    window[place] = kNan;
    const Pooled out = pool(shape, window);
    EXPECT_TRUE(std::isnan(out.y[0])) << place;
    EXPECT_EQ(out.places[0], place);
  }
}

class MaxPoolShapes : public testing::TestWithParam<PoolShape> {
 protected:
  /// Where input (image, row, column, channel) of the stack lies.
  static std::size_t at(int image, int row, int column, int channel) {
    const PoolShape& s = GetParam();
    const int place = ((image * s.height + row) * s.width + column) * s.pixel_stride + channel;
    return static_cast<std::size_t>(place);
  }
  /// Calls f(index of an output, indices of its window's inputs) for every output.
  template <class F>
  static void for_each_window(const F& f) {
    const PoolShape& s = GetParam();
    std::size_t output = 0;
    for (int image = 0; image < s.images; ++image) {
      for (int row = 0; row < s.height; row += 2) {
        for (int column = 0; column < s.width; column += 2) {
          for (int c = 0; c < s.channels; ++c) {
            f(output++, std::vector<std::size_t>{
                            at(image, row, column, c), at(image, row, column + 1, c),
                            at(image, row + 1, column, c), at(image, row + 1, column + 1, c)});
          }
        }
      }
    }
  }
};

// Small, oblong, wider than a vector, the published networks' first; and parts of wider images.
INSTANTIATE_TEST_SUITE_P(, MaxPoolShapes,
                         testing::Values(PoolShape{1, 2, 2, 1, 1}, PoolShape{3, 4, 6, 5, 5},
                                         PoolShape{2, 6, 4, 33, 33}, PoolShape{2, 32, 32, 32, 32},
                                         PoolShape{2, 4, 4, 3, 8}, PoolShape{2, 8, 8, 16, 48}),
                         [](const auto& test) {
                           const PoolShape& s = test.param;
                           return std::to_string(s.images) + "x" + std::to_string(s.height) + "x" +
                                  std::to_string(s.width) + "x" + std::to_string(s.channels) +
                                  "of" + std::to_string(s.pixel_stride);
                         });

TEST_P(MaxPoolShapes, ForwardIsTheMaximumOfEachWindow) {
  const std::vector<float> x = numbers(input_size(GetParam()), 1);
  const Pooled out = pool(GetParam(), x);
  for_each_window([&](std::size_t output, const std::vector<std::size_t>& inputs) {
    for (const std::size_t input : inputs) {
      EXPECT_LE(x[input], out.y[output]);
    }
    EXPECT_EQ(out.y[output], x[inputs[out.places[output]]]);
  });
}

TEST_P(MaxPoolShapes, BackwardSendsEachGradientToItsMaximum) {
  const std::vector<float> x = numbers(input_size(GetParam()), 1);
  const std::vector<float> dy = numbers(pooled_size(GetParam()), 2);
  const float untouched = 77;  // channels that are not pooled
  std::vector<float> expected(x.size(), untouched);
  for_each_window([&](std::size_t output, const std::vector<std::size_t>& inputs) {
    const auto largest = std::max_element(
        inputs.begin(), inputs.end(), [&](std::size_t a, std::size_t b) { return x[a] < x[b]; });
    for (const std::size_t input : inputs) {
      expected[input] = input == *largest ? dy[output] : 0.0F;
    }
  });
  EXPECT_EQ(unpool(GetParam(), dy, pool(GetParam(), x), untouched), expected);
}

TEST_P(MaxPoolShapes, ALeakyReluAfterItIsOneBeforeIt) {
  PoolShape with_relu = GetParam();
  with_relu.after = {};
  const std::vector<float> x = numbers(input_size(with_relu), 1);
  const std::vector<float> dy = numbers(pooled_size(with_relu), 2);
  const Pooled after = pool(with_relu, x);
  const Pooled before = pool(GetParam(), relu_forward(x));
  EXPECT_EQ(after.y, before.y);
  EXPECT_EQ(after.places, before.places);
  EXPECT_EQ(unpool(with_relu, dy, after, 0), relu_backward(x, unpool(GetParam(), dy, before, 0)));
}

TEST_P(MaxPoolShapes, BackwardIsTheDerivative) {
  // Max-pooling is linear where the maxima do not change, so a difference is exact up to rounding.
  const std::vector<float> x = numbers(input_size(GetParam()), 1);
  const std::vector<float> direction = numbers(x.size(), 3);
  const std::vector<float> dy = numbers(pooled_size(GetParam()), 2);
  const Pooled here = pool(GetParam(), x);
  std::vector<float> moved = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    moved[i] += 1e-6F * direction[i];
  }
  const Pooled there = pool(GetParam(), moved);
  ASSERT_EQ(here.places, there.places);
  const std::vector<float> dx = unpool(GetParam(), dy, here, 0);
  double along = 0;
  double difference = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    along +=
        static_cast<double>(dx[i]) * (static_cast<double>(moved[i]) - static_cast<double>(x[i]));
  }
  for (std::size_t i = 0; i < dy.size(); ++i) {
    difference += static_cast<double>(dy[i]) *
                  (static_cast<double>(there.y[i]) - static_cast<double>(here.y[i]));
  }
  EXPECT_NEAR(difference, along, 1e-12);
}

}  // namespace
}  // namespace ebm
