// A non-local block in one kernel a direction, against its definition in float64.

#include "cuda/nn/gpu/nonlocal_block.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda/nn/gpu/stored_activations.h"
#include "tests/support/kernel_launch.h"

namespace ebm {
namespace {

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

template <class T>
struct Inputs {
  NonlocalShape shape;
  std::vector<T> x;
  std::vector<T> dy;
  std::vector<float> qkv_weight;
  std::vector<float> qkv_bias;
  std::vector<float> projection_weight;
  std::vector<float> projection_bias;

  std::int64_t pixels() const { return std::int64_t{shape.height} * shape.width; }
  std::int64_t windows() const { return pixels() / 4; }
};

template <class T>
Inputs<T> random_inputs(const NonlocalShape& shape) {
  const std::int64_t k = shape.half;
  const std::int64_t values = shape.images * shape.height * shape.width * 2 * k;
  const float scale = 2 / std::sqrt(static_cast<float>(k));
  return {.shape = shape,
          .x = stored_numbers<T>(size(values), 1),
          .dy = stored_numbers<T>(size(values), 2),
          .qkv_weight = numbers(size(3 * k * 2 * k), 3, scale),
          .qkv_bias = numbers(size(3 * k), 4),
          .projection_weight = numbers(size(2 * k * k), 5, scale),
          .projection_bias = numbers(size(2 * k), 6)};
}

template <class T>
struct Results {
  std::vector<T> y;
  std::vector<T> dx;
  std::vector<T> qkv;
  std::vector<T> pooled;
  std::vector<std::uint8_t> argmax;
  std::vector<float> log_sums;
  std::vector<T> attended;
  std::vector<T> qkv_gradient;
};

constexpr float kUntouched = -7;  // a bfloat16 too

template <class T>
Results<T> run(const Inputs<T>& inputs) {
  const std::int64_t k = inputs.shape.half;
  const std::int64_t pixels = inputs.shape.images * inputs.pixels();
  const auto untouched = [](std::int64_t count) {
    return std::vector<T>(size(count), T(kUntouched));
  };
  Results<T> results{.y = untouched(pixels * 2 * k),
                     .dx = untouched(pixels * 2 * k),
                     .qkv = untouched(pixels * 3 * k),
                     .pooled = untouched(pixels / 4 * 2 * k),
                     .argmax = std::vector<std::uint8_t>(size(pixels / 4 * 2 * k), 77),
                     .log_sums = std::vector<float>(size(pixels), kUntouched),
                     .attended = untouched(pixels * k),
                     .qkv_gradient = untouched(pixels * 3 * k)};
  run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
    const NonlocalParameters parameters{memory.in(inputs.qkv_weight), memory.in(inputs.qkv_bias),
                                        memory.in(inputs.projection_weight),
                                        memory.in(inputs.projection_bias)};
    const NonlocalMemory<T> left{
        memory.in_out(results.qkv),      memory.in_out(results.pooled),
        memory.in_out(results.argmax),   memory.in_out(results.log_sums),
        memory.in_out(results.attended), memory.in_out(results.qkv_gradient)};
    nonlocal_forward(stream, inputs.shape, parameters, memory.in(inputs.x), left,
                     memory.in_out(results.y));
    nonlocal_backward(stream, inputs.shape, parameters, memory.in(inputs.dy), left,
                      memory.in_out(results.dx));
  });
  return results;
}

std::vector<double> doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// The block as it is defined, image by image. Which pixel of a window is pooled is the kernel's
/// choice, as is what it stored of Q, K and V: the test compares these first, and rounding may
/// decide between two that are nearly equal.
class Reference {
 public:
  std::vector<double> y;
  std::vector<double> dx;
  std::vector<double> qkv;
  std::vector<double> pooled;
  std::vector<double> log_sums;
  std::vector<double> attended;
  std::vector<double> qkv_gradient;

  template <class T>
  Reference(const Inputs<T>& inputs, const Results<T>& results)
      : y(inputs.x.size()),
        dx(inputs.x.size()),
        qkv(results.qkv.size()),
        pooled(results.pooled.size()),
        log_sums(results.log_sums.size()),
        attended(results.attended.size()),
        qkv_gradient(results.qkv.size()),
        shape_(inputs.shape),
        k_(inputs.shape.half),
        pixels_(inputs.pixels()),
        windows_(inputs.windows()),
        qkv_weight_(doubles(inputs.qkv_weight)),
        projection_weight_(doubles(inputs.projection_weight)),
        x_(doubles(floats(inputs.x))),
        dy_(doubles(floats(inputs.dy))),
        stored_(doubles(floats(results.qkv))),
        keys_(doubles(floats(results.pooled))),
        places_(results.argmax) {
    const std::int64_t pixels = shape_.images * pixels_;
    multiply(pixels, 2 * k_, 3 * k_, x_, qkv_weight_, doubles(inputs.qkv_bias), qkv);
    for (std::int64_t window = 0; window < shape_.images * windows_; ++window) {
      for (std::int64_t c = 0; c < 2 * k_; ++c) {
        double& largest = pooled[size(window * 2 * k_ + c)];
        largest = qkv[size(pixel(window, 0) * 3 * k_ + k_ + c)];
        for (int place = 1; place < 4; ++place) {
          largest = std::max(largest, qkv[size(pixel(window, place) * 3 * k_ + k_ + c)]);
        }
      }
    }
    std::vector<double> attended_gradient(attended.size());
    turn_and_multiply(pixels, 2 * k_, k_, dy_, projection_weight_, attended_gradient);
    for (std::int64_t query = 0; query < pixels; ++query) {
      attend(query, &attended_gradient[size(query * k_)]);
    }
    multiply(pixels, k_, 2 * k_, attended, projection_weight_, doubles(inputs.projection_bias), y);
    turn_and_multiply(pixels, 3 * k_, 2 * k_, qkv_gradient, qkv_weight_, dx);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] += x_[i];
      dx[i] += dy_[i];
    }
  }

 private:
  static void multiply(std::int64_t rows, std::int64_t in, std::int64_t out,
                       const std::vector<double>& x, const std::vector<double>& weight,
                       const std::vector<double>& bias, std::vector<double>& to) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t o = 0; o < out; ++o) {
        double sum = bias[size(o)];
        for (std::int64_t i = 0; i < in; ++i) {
          sum += x[size(row * in + i)] * weight[size(o * in + i)];
        }
        to[size(row * out + o)] = sum;
      }
    }
  }
  /// From gradients of `in` outputs to those of `out` inputs.
  static void turn_and_multiply(std::int64_t rows, std::int64_t in, std::int64_t out,
                                const std::vector<double>& dy, const std::vector<double>& weight,
                                std::vector<double>& to) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t o = 0; o < out; ++o) {
        double sum = 0;
        for (std::int64_t i = 0; i < in; ++i) {
          sum += dy[size(row * in + i)] * weight[size(i * out + o)];
        }
        to[size(row * out + o)] = sum;
      }
    }
  }

  std::int64_t pixel(std::int64_t window, int place) const {
    const std::int64_t across = shape_.width / 2;
    const std::int64_t down = window / across;  // images are even in height
    return (2 * down + place / 2) * shape_.width + 2 * (window % across) + place % 2;
  }

  void attend(std::int64_t query, const double* d_o) {
    const std::int64_t first = query / pixels_ * windows_;
    const double* q = &stored_[size(query * 3 * k_)];
    const auto key = [&](std::int64_t j) { return &keys_[size((first + j) * 2 * k_)]; };
    std::vector<double> a(size(windows_));
    double first_score = 0;
    for (std::int64_t j = 0; j < windows_; ++j) {
      for (std::int64_t c = 0; c < k_; ++c) {
        a[size(j)] += q[c] * key(j)[c];
      }
      first_score = j == 0 ? a[0] : first_score;
    }
    const double highest = *std::max_element(a.begin(), a.end());
    double sum = 0;
    for (double& value : a) {
      value = std::exp(value - highest);
      sum += value;
    }
    log_sums[size(query)] = (highest + std::log(sum) - first_score) / std::log(2.0);
    std::vector<double> d_a(size(windows_));
    double mean = 0;
    for (std::int64_t j = 0; j < windows_; ++j) {
      a[size(j)] /= sum;
      for (std::int64_t c = 0; c < k_; ++c) {
        attended[size(query * k_ + c)] += a[size(j)] * key(j)[k_ + c];
        d_a[size(j)] += d_o[c] * key(j)[k_ + c];
      }
      mean += a[size(j)] * d_a[size(j)];
    }
    for (std::int64_t j = 0; j < windows_; ++j) {
      const double d_s = a[size(j)] * (d_a[size(j)] - mean);
      for (std::int64_t c = 0; c < k_; ++c) {
        qkv_gradient[size(query * 3 * k_ + c)] += d_s * key(j)[c];
        winner(first + j, c) += d_s * q[c];
        winner(first + j, k_ + c) += a[size(j)] * d_o[c];
      }
    }
  }

  /// The gradient of the value that was pooled.
  double& winner(std::int64_t window, std::int64_t c) {
    const int place = places_[size(window * 2 * k_ + c)];
    return qkv_gradient[size(pixel(window, place) * 3 * k_ + k_ + c)];
  }

  NonlocalShape shape_;
  std::int64_t k_;
  std::int64_t pixels_;
  std::int64_t windows_;
  std::vector<double> qkv_weight_;
  std::vector<double> projection_weight_;
  std::vector<double> x_;
  std::vector<double> dy_;
  std::vector<double> stored_;
  std::vector<double> keys_;
  std::vector<std::uint8_t> places_;
};

constexpr double kFloat = 1e-5;  // what the project promises of float32 gradients

template <class T>
void expect_as_defined(const Inputs<T>& inputs) {
  const std::int64_t k = inputs.shape.half;
  const Results<T> results = run(inputs);
  for (const std::uint8_t place : results.argmax) {
    ASSERT_LT(place, 4);
  }
  const Reference exact(inputs, results);
  expect_columns_near(results.qkv, exact.qkv, 0, k, 3 * k, kFloat, "Q");
  expect_columns_near(results.pooled, exact.pooled, 0, 2 * k, 2 * k, kFloat, "K and V");
  expect_columns_near(results.log_sums, exact.log_sums, 0, 1, 1, kFloat, "log sums");
  expect_columns_near(results.attended, exact.attended, 0, k, k, kFloat, "A V");
  // The kernel merges what it stored of A V.
  const double merged = kFloat + (sizeof(T) == 2 ? 0x1p-7 : 0);
  expect_columns_near(results.y, exact.y, 0, 2 * k, 2 * k, merged, "y");
  expect_columns_near(results.qkv_gradient, exact.qkv_gradient, 0, k, 3 * k, kFloat, "dQ");
  expect_columns_near(results.qkv_gradient, exact.qkv_gradient, k, k, 3 * k, kFloat, "dφ");
  expect_columns_near(results.qkv_gradient, exact.qkv_gradient, 2 * k, k, 3 * k, kFloat, "dg");
  expect_columns_near(results.dx, exact.dx, 0, 2 * k, 2 * k, kFloat, "dx");
  // A place is where the largest is, up to rounding: the pixel there is as large.
  for (std::size_t i = 0; i < results.argmax.size(); ++i) {
    const auto window = static_cast<std::int64_t>(i) / (2 * k);
    const std::int64_t across = inputs.shape.width / 2;
    const int place = results.argmax[i];
    const std::int64_t pixel = (2 * (window / across) + place / 2) * inputs.shape.width +
                               2 * (window % across) + place % 2;
    const double at_place = exact.qkv[size(pixel * 3 * k + k) + i % size(2 * k)];
    ASSERT_NEAR(at_place, exact.pooled[i],
                1e-4 + 2 * kStorageRounding<T> * std::abs(exact.pooled[i]))
        << i;
  }
}

template <class T>
class NonlocalKernels : public testing::Test {};
using Storages = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(NonlocalKernels, Storages);

constexpr NonlocalShape kBlock1{.images = 2, .height = 16, .width = 16, .half = 16};
constexpr NonlocalShape kBlock2{.images = 2, .height = 8, .width = 8, .half = 32};

TYPED_TEST(NonlocalKernels, AreTheBlockAsDefined) {
  for (const NonlocalShape shape :
       {kBlock1, kBlock2, NonlocalShape{3, 4, 4, 4}, NonlocalShape{1, 4, 8, 12},
        NonlocalShape{2, 8, 4, 20}, NonlocalShape{1, 2, 32, 8}, NonlocalShape{1, 4, 64, 8},
        NonlocalShape{1, 16, 8, 44}}) {
    SCOPED_TRACE(std::to_string(shape.height) + " × " + std::to_string(shape.width) +
                 " pixels, k = " + std::to_string(shape.half));
    ASSERT_TRUE(nonlocal_fits_a_kernel(shape));
    expect_as_defined(random_inputs<TypeParam>(shape));
  }
}

TEST(NonlocalShapes, ThatDoNotFitAreLeftToOthers) {
  EXPECT_TRUE(nonlocal_fits_a_kernel(kBlock1));
  EXPECT_TRUE(nonlocal_fits_a_kernel(kBlock2));
  EXPECT_FALSE(nonlocal_fits_a_kernel({1, 16, 16, 6})) << "channels that are not fours";
  EXPECT_FALSE(nonlocal_fits_a_kernel({1, 2, 4, 16})) << "two windows";
  EXPECT_FALSE(nonlocal_fits_a_kernel({1, 14, 14, 16})) << "49 windows";
  EXPECT_FALSE(nonlocal_fits_a_kernel({1, 32, 32, 16})) << "256 windows";
  EXPECT_FALSE(nonlocal_fits_a_kernel({1, 16, 32, 4})) << "an attention too large for a block";
  EXPECT_FALSE(nonlocal_fits_a_kernel({1, 16, 16, 1024})) << "channels that are too many for it";
}

template <class T>
std::vector<T> part(const std::vector<T>& values, std::int64_t images, std::int64_t image) {
  const auto count = static_cast<std::ptrdiff_t>(values.size()) / images;
  return {values.begin() + image * count, values.begin() + (image + 1) * count};
}

TYPED_TEST(NonlocalKernels, AnImageHasTheSameBitsInEveryBatchAndEveryTime) {
  const auto inputs = random_inputs<TypeParam>(kBlock1);
  const Results<TypeParam> batch = run(inputs);
  const Results<TypeParam> again = run(inputs);
  expect_same_bits(batch.y, again.y, "y again");
  expect_same_bits(batch.dx, again.dx, "dx again");
  const std::int64_t images = kBlock1.images;
  for (std::int64_t image = 0; image < images; ++image) {
    auto one = inputs;
    one.shape.images = 1;
    one.x = part(inputs.x, images, image);
    one.dy = part(inputs.dy, images, image);
    const Results<TypeParam> alone = run(one);
    expect_same_bits(part(batch.y, images, image), alone.y, "y");
    expect_same_bits(part(batch.dx, images, image), alone.dx, "dx");
    expect_same_bits(part(batch.qkv_gradient, images, image), alone.qkv_gradient, "dQ, dφ, dg");
  }
}

// Gradients of Q and K are sums of differences, which are small where pixels are alike.
TYPED_TEST(NonlocalKernels, AreAccurateWherePixelsAreAlike) {
  for (const NonlocalShape& shape : {kBlock1, kBlock2}) {
    auto inputs = random_inputs<TypeParam>(shape);
    const std::vector<float> common = numbers(size(2 * shape.half), 7);
    for (std::size_t i = 0; i < inputs.x.size(); ++i) {
      inputs.x[i] = static_cast<TypeParam>(common[i % common.size()] +
                                           0.01F * static_cast<float>(inputs.x[i]));
    }
    expect_as_defined(inputs);
  }
}

// x = 0 makes all keys the bias, and all values: the attention is shared alike.
TYPED_TEST(NonlocalKernels, EqualPixelsGiveQueriesAndKeysNoGradient) {
  auto inputs = random_inputs<TypeParam>(kBlock1);
  std::ranges::fill(inputs.x, TypeParam(0));
  const Results<TypeParam> results = run(inputs);
  const std::size_t k = size(kBlock1.half);
  for (std::size_t i = 0; i < results.qkv_gradient.size(); ++i) {
    if (i % (3 * k) < 2 * k) {
      ASSERT_EQ(static_cast<float>(results.qkv_gradient[i]), 0) << i;
    }
  }
  for (std::size_t i = 0; i < results.attended.size(); ++i) {
    ASSERT_EQ(static_cast<float>(results.attended[i]),
              static_cast<float>(TypeParam(inputs.qkv_bias[2 * k + i % k])));
  }
  for (const float log_sum : results.log_sums) {
    ASSERT_NEAR(log_sum, std::log2(64.0F), 1e-6F);
  }
}

TYPED_TEST(NonlocalKernels, ANanStaysVisibleInItsImage) {
  auto inputs = random_inputs<TypeParam>(kBlock1);
  inputs.x[0] = TypeParam(kNan);
  const Results<TypeParam> results = run(inputs);
  const std::size_t image = inputs.x.size() / size(kBlock1.images);
  for (std::size_t i = 0; i < inputs.x.size(); ++i) {
    ASSERT_EQ(std::isnan(static_cast<float>(results.y[i])), i < image) << i;
  }
  EXPECT_TRUE(std::isnan(static_cast<float>(results.dx[0])));
}

}  // namespace
}  // namespace ebm
