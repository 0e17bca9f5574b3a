// The attention of a non-local block on a device, against sums in float64.

#include "cuda/nn/gpu/attention.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/device/bfloat16.cuh"
#include "tests/cuda/nn/gpu/stored_activations.h"
#include "tests/support/kernel_launch.h"

namespace ebm {
namespace {

/// What both directions read.
template <class T>
struct Inputs {
  AttentionShape shape;
  std::vector<T> qkv;
  std::vector<T> pooled;
  std::vector<T> attended_gradient;
};

/// What they write. Of `qkv_gradient` only the first third of each pixel is theirs.
template <class T>
struct Results {
  std::vector<T> attended;
  std::vector<float> log_sums;
  std::vector<T> qkv_gradient;
  std::vector<T> pooled_gradient;
};

constexpr float kUntouched = -7;  // a bfloat16 too

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

template <class T>
Inputs<T> random_inputs(const AttentionShape& shape) {
  const auto& [images, queries, keys, channels] = shape;
  return {shape, stored<T>(numbers(size(images * queries * 3 * channels), 1)),
          stored<T>(numbers(size(images * keys * 2 * channels), 2)),
          stored<T>(numbers(size(images * queries * channels), 3))};
}

template <class T>
void multiply(float factor, std::vector<T>& values) {
  for (T& value : values) {
    value = static_cast<T>(factor * static_cast<float>(value));
  }
}

/// Makes rows differ from a common one, and that from 0, by as much as `spread` and 2.
template <class T>
void make_alike(std::int64_t row_size, float spread, std::vector<T>& rows) {
  const std::vector<float> common = numbers(size(row_size), 4, 2);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<T>(common[i % common.size()] + spread * static_cast<float>(rows[i]));
  }
}

template <class T>
Results<T> attend(const Inputs<T>& inputs) {
  const auto& [images, queries, keys, channels] = inputs.shape;
  Results<T> results;
  results.attended.assign(inputs.attended_gradient.size(), T(kUntouched));
  results.log_sums.assign(size(images * queries), kUntouched);
  results.qkv_gradient.assign(inputs.qkv.size(), T(kUntouched));
  results.pooled_gradient.assign(inputs.pooled.size(), T(kUntouched));
  std::vector<float> workspace(size(images * queries), kNan);
  run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
    const T* qkv = memory.in(inputs.qkv);
    const T* pooled = memory.in(inputs.pooled);
    float* log_sums = memory.in_out(results.log_sums);
    attention_forward(stream, inputs.shape, qkv, pooled, memory.in_out(results.attended), log_sums);
    attention_backward(stream, inputs.shape, qkv, pooled, log_sums,
                       memory.in(inputs.attended_gradient), memory.in_out(workspace),
                       memory.in_out(results.qkv_gradient), memory.in_out(results.pooled_gradient));
  });
  return results;
}

/// The same in float64, row by row.
class Reference {
 public:
  std::vector<double> attended;
  std::vector<double> qkv_gradient;
  std::vector<double> pooled_gradient;
  /// The largest Σ_c |Q_c K_c| of a query and a key: what a score's rounding is relative to.
  double largest_score = 0;

  template <class T>
  explicit Reference(const Inputs<T>& inputs)
      : attended(inputs.attended_gradient.size()),
        qkv_gradient(inputs.qkv.size(), kUntouched),
        pooled_gradient(inputs.pooled.size()),
        k_(inputs.shape.channels),
        embedded_(doubles(inputs.qkv)),
        pooled_(doubles(inputs.pooled)),
        gradient_(doubles(inputs.attended_gradient)) {
    const AttentionShape& shape = inputs.shape;
    for (std::int64_t pixel = 0; pixel < shape.images * shape.queries; ++pixel) {
      add_query(pixel, pixel / shape.queries * shape.keys, shape.keys);
    }
  }

 private:
  template <class T>
  static std::vector<double> doubles(const std::vector<T>& values) {
    std::vector<double> result;
    result.reserve(values.size());
    for (const T value : values) {
      result.push_back(static_cast<double>(static_cast<float>(value)));
    }
    return result;
  }

  void add_query(std::int64_t pixel, std::int64_t first_key, std::int64_t keys) {
    const double* q = &embedded_[size(pixel * 3 * k_)];
    const double* d_o = &gradient_[size(pixel * k_)];
    double* o = &attended[size(pixel * k_)];
    double* d_q = &qkv_gradient[size(pixel * 3 * k_)];
    const auto key = [&](std::int64_t j) { return &pooled_[size((first_key + j) * 2 * k_)]; };
    std::vector<double> a(size(keys));
    for (std::int64_t j = 0; j < keys; ++j) {
      double sizes = 0;
      for (std::int64_t c = 0; c < k_; ++c) {
        a[size(j)] += q[c] * key(j)[c];
        sizes += std::abs(q[c] * key(j)[c]);
      }
      largest_score = std::max(largest_score, sizes);
    }
    const double highest = *std::max_element(a.begin(), a.end());
    double sum = 0;
    for (double& value : a) {
      value = std::exp(value - highest);
      sum += value;
    }
    std::vector<double> d_a(size(keys));
    double mean = 0;
    for (std::int64_t j = 0; j < keys; ++j) {
      a[size(j)] /= sum;
      for (std::int64_t c = 0; c < k_; ++c) {
        o[c] += a[size(j)] * key(j)[k_ + c];
        d_a[size(j)] += d_o[c] * key(j)[k_ + c];
      }
      mean += a[size(j)] * d_a[size(j)];
    }
    std::fill_n(d_q, k_, 0.0);
    for (std::int64_t j = 0; j < keys; ++j) {
      double* d_k = &pooled_gradient[size((first_key + j) * 2 * k_)];
      const double d_s = a[size(j)] * (d_a[size(j)] - mean);
      for (std::int64_t c = 0; c < k_; ++c) {
        d_q[c] += d_s * key(j)[c];
        d_k[c] += d_s * q[c];
        d_k[k_ + c] += a[size(j)] * d_o[c];
      }
    }
  }

  std::int64_t k_;
  std::vector<double> embedded_;
  std::vector<double> pooled_;
  std::vector<double> gradient_;
};

template <class T>
void expect_as_in_float64(const Inputs<T>& inputs, double bound) {
  const std::int64_t k = inputs.shape.channels;
  const Results<T> results = attend(inputs);
  const Reference exact(inputs);
  expect_columns_near(results.attended, exact.attended, 0, k, k, bound, "A V");
  expect_columns_near(results.qkv_gradient, exact.qkv_gradient, 0, k, 3 * k, bound, "dQ");
  expect_columns_near(results.pooled_gradient, exact.pooled_gradient, 0, k, 2 * k, bound, "dK");
  expect_columns_near(results.pooled_gradient, exact.pooled_gradient, k, k, 2 * k, bound, "dV");
}

template <class T>
class Attention : public testing::Test {};
using Storages = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(Attention, Storages);

constexpr AttentionShape kBlock1{.images = 3, .queries = 256, .keys = 64, .channels = 16};
constexpr AttentionShape kBlock2{.images = 3, .queries = 64, .keys = 16, .channels = 32};
constexpr double kFloat = 1e-5;  // what the project promises of float32 gradients

TYPED_TEST(Attention, IsThatOfFloat64) {
  for (const AttentionShape shape :
       {kBlock1, kBlock2, AttentionShape{1, 4, 1, 1}, AttentionShape{2, 16, 4, 3},
        AttentionShape{2, 36, 9, 6}, AttentionShape{1, 100, 25, 7}, AttentionShape{2, 64, 16, 8},
        AttentionShape{1, 64, 16, 48}, AttentionShape{1, 16, 4, 100}, AttentionShape{1, 36, 9, 333},
        AttentionShape{1, 16, 4, 1024}}) {
    SCOPED_TRACE(std::to_string(shape.queries) + " queries, " + std::to_string(shape.channels) +
                 " channels");
    expect_as_in_float64(random_inputs<TypeParam>(shape), kFloat);
  }
}

TYPED_TEST(Attention, IsThatOfFloat64WhereKeysArriveInTiles) {
  for (const AttentionShape shape :
       {AttentionShape{1, 1024, 256, 16}, AttentionShape{1, 400, 100, 64},
        AttentionShape{1, 1600, 400, 7}}) {
    SCOPED_TRACE(std::to_string(shape.queries) + " queries");
    auto inputs = random_inputs<TypeParam>(shape);
    // Attention shared by all keys alike would leave gradients to be small differences.
    multiply(2, inputs.qkv);
    expect_as_in_float64(inputs, kFloat);
  }
}

// Gradients of Q and K are sums of differences, here a thousandth of what is subtracted.
TYPED_TEST(Attention, GradientsAreAccurateWherePixelsAreAlike) {
  // bfloat16 has 1/128 between neighbours at 1
  const float spread = std::is_same_v<TypeParam, float> ? 1e-3F : 0.05F;
  for (const AttentionShape shape : {kBlock1, kBlock2}) {
    auto inputs = random_inputs<TypeParam>(shape);
    make_alike(3 * shape.channels, spread, inputs.qkv);
    make_alike(2 * shape.channels, spread, inputs.pooled);
    expect_as_in_float64(inputs, kFloat);
  }
}

TYPED_TEST(Attention, LargeScoresDoNotOverflow) {
  auto inputs = random_inputs<TypeParam>(kBlock1);
  multiply(1000, inputs.qkv);
  const Reference exact(inputs);
  ASSERT_GT(exact.largest_score, 1000);
  // A's relative error is its scores' absolute one: k roundings in a product, as many again in
  // those of the first key, which is subtracted; and both directions compute it.
  const auto roundings = static_cast<double>(4 * kBlock1.channels);
  expect_as_in_float64(inputs, roundings * kRounding * exact.largest_score);
}

// Less the first, equal rows are 0, and so is what they make.
TYPED_TEST(Attention, EqualKeysShareTheAttentionAndGiveQueriesNoGradient) {
  auto inputs = random_inputs<TypeParam>(kBlock2);
  const std::int64_t k = kBlock2.channels;
  for (std::int64_t key = 0; key < kBlock2.images * kBlock2.keys; ++key) {
    std::fill_n(inputs.pooled.begin() + key * 2 * k, k, TypeParam(3));
  }
  const Results<TypeParam> results = attend(inputs);
  const Reference exact(inputs);
  expect_columns_near(results.attended, exact.attended, 0, k, k, kFloat, "A V");
  for (std::size_t i = 0; i < results.qkv_gradient.size(); ++i) {
    const bool of_query = i % size(3 * k) < size(k);
    EXPECT_EQ(static_cast<float>(results.qkv_gradient[i]), of_query ? 0 : kUntouched) << i;
  }
  for (const float log_sum : results.log_sums) {
    EXPECT_NEAR(log_sum, std::log(16.0F), 1e-6F);  // of the 16 keys, two roundings
  }
}

TYPED_TEST(Attention, EqualValuesAreTheResultAndGiveNoGradientToKeys) {
  auto inputs = random_inputs<TypeParam>(kBlock1);
  const std::int64_t k = kBlock1.channels;
  for (std::int64_t key = 0; key < kBlock1.images * kBlock1.keys; ++key) {
    std::fill_n(inputs.pooled.begin() + key * 2 * k + k, k, TypeParam(-0.375F));
  }
  const Results<TypeParam> results = attend(inputs);
  for (const TypeParam value : results.attended) {
    EXPECT_EQ(static_cast<float>(value), -0.375F);
  }
  for (std::size_t i = 0; i < results.pooled_gradient.size(); ++i) {
    if (i % size(2 * k) < size(k)) {
      EXPECT_EQ(static_cast<float>(results.pooled_gradient[i]), 0) << i;
    }
  }
}

/// One image of a batch.
template <class T>
std::vector<T> part(const std::vector<T>& values, std::int64_t images, std::int64_t image) {
  const auto count = static_cast<std::ptrdiff_t>(values.size()) / images;
  return {values.begin() + image * count, values.begin() + (image + 1) * count};
}

TYPED_TEST(Attention, AnImageHasTheSameBitsInEveryBatchAndEveryTime) {
  const auto inputs = random_inputs<TypeParam>(kBlock1);
  const std::int64_t images = kBlock1.images;
  const Results<TypeParam> batch = attend(inputs);
  const Results<TypeParam> again = attend(inputs);
  expect_same_bits(batch.pooled_gradient, again.pooled_gradient, "again");
  for (std::int64_t image = 0; image < images; ++image) {
    Inputs<TypeParam> one{kBlock1, part(inputs.qkv, images, image),
                          part(inputs.pooled, images, image),
                          part(inputs.attended_gradient, images, image)};
    one.shape.images = 1;
    const Results<TypeParam> alone = attend(one);
    expect_same_bits(part(batch.attended, images, image), alone.attended, "A V");
    expect_same_bits(part(batch.log_sums, images, image), alone.log_sums, "log sums");
    expect_same_bits(part(batch.qkv_gradient, images, image), alone.qkv_gradient, "dQ");
    expect_same_bits(part(batch.pooled_gradient, images, image), alone.pooled_gradient, "dK, dV");
  }
}

TYPED_TEST(Attention, ANanStaysVisibleInItsRow) {
  auto inputs = random_inputs<TypeParam>(kBlock1);
  const std::int64_t k = kBlock1.channels;
  inputs.qkv[size(5 * 3 * k + 2)] = TypeParam(kNan);
  const Results<TypeParam> results = attend(inputs);
  for (std::size_t i = 0; i < results.attended.size(); ++i) {
    EXPECT_EQ(std::isnan(static_cast<float>(results.attended[i])), i / size(k) == 5) << i;
  }
  EXPECT_TRUE(std::isnan(static_cast<float>(results.pooled_gradient[0])));
}

TYPED_TEST(Attention, RefusesMoreChannelsThanItHasLanesFor) {
  const CudaStream stream;
  const TypeParam* in = nullptr;
  TypeParam* out = nullptr;
  try {
    attention_forward(stream, AttentionShape{1, 4, 1, 1025}, in, in, out, nullptr);
    FAIL() << "1025 channels were accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("2050 channels"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ebm
