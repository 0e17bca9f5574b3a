// Element-wise CUDA kernels on activations of either type: what the same arithmetic gives in float,
// stored.

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "cuda/kernels/channel_order.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/gpu/bias_activation.cuh"
#include "tests/cuda/nn/gpu/stored_activations.h"
#include "tests/support/kernel_launch.h"

namespace ebm {
namespace {

template <class T>
class StoredActivations : public testing::Test {};

using StorageTypes = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(StoredActivations, StorageTypes);

template <class T>
void expect_stored(const std::vector<T>& actual, const std::vector<float>& expected) {
  EXPECT_EQ(floats(actual), floats(stored<T>(expected)));
}

TYPED_TEST(StoredActivations, LeakyReluBothWays) {
  for (const std::int64_t n : {1, 15, 16, 1001}) {
    const auto size = static_cast<std::size_t>(n);
    const auto x = stored_numbers<TypeParam>(size, 1);
    const auto dy = stored_numbers<TypeParam>(size, 2);
    std::vector<TypeParam> y(size);
    std::vector<TypeParam> dx(size);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      leaky_relu_forward(stream, LeakyRelu{}, n, memory.in(x), memory.in_out(y));
      leaky_relu_backward(stream, LeakyRelu{}, n, memory.in(x), memory.in(dy), memory.in_out(dx));
    });
    std::vector<float> expected(size);
    leaky_relu_forward(LeakyRelu{}, n, floats(x).data(), expected.data());
    expect_stored(y, expected);
    leaky_relu_backward(LeakyRelu{}, n, floats(x).data(), floats(dy).data(), expected.data());
    expect_stored(dx, expected);
  }
}

TYPED_TEST(StoredActivations, MaxPoolBothWays) {
  // Packs of 1 and of 16 bytes; all of a pixel's channels, or some.
  for (const PoolShape& shape :
       {PoolShape{.images = 3, .height = 4, .width = 6, .channels = 5, .pixel_stride = 5},
        PoolShape{.images = 2, .height = 6, .width = 4, .channels = 32, .pixel_stride = 32},
        PoolShape{
            .images = 2, .height = 4, .width = 4, .channels = 16, .pixel_stride = 48, .after = {}},
        PoolShape{.images = 1,
        .height = 2,
        .width = 8,
        .channels = 16,
        .pixel_stride = 21,
        .after = {}}}) {
    const auto inputs =
        static_cast<std::size_t>(shape.images * shape.height * shape.width * shape.pixel_stride);
    const auto outputs = static_cast<std::size_t>(shape.images * shape.height / 2 * shape.width /
                                                  2 * shape.channels);
    const auto x = stored_numbers<TypeParam>(inputs, 1);
    const auto dy = stored_numbers<TypeParam>(outputs, 2);
    std::vector<TypeParam> y(outputs);
    std::vector<std::uint8_t> places(outputs);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      max_pool_forward(stream, shape, memory.in(x), memory.in_out(y), memory.in_out(places));
    });
    std::vector<float> expected_y(outputs);
    std::vector<std::uint8_t> expected_places(outputs);
    max_pool_forward(shape, floats(x).data(), expected_y.data(), expected_places.data());
    expect_stored(y, expected_y);
    EXPECT_EQ(places, expected_places);

    auto dx = stored<TypeParam>(std::vector<float>(inputs, 77));  // of channels not pooled
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      max_pool_backward(stream, shape, memory.in(y), memory.in(dy), memory.in(places),
                        memory.in_out(dx));
    });
    std::vector<float> expected_dx(inputs, 77);
    max_pool_backward(shape, floats(y).data(), floats(dy).data(), places.data(),
                      expected_dx.data());
    expect_stored(dx, expected_dx);
  }
}

TYPED_TEST(StoredActivations, BiasActivationInPlace) {
  for (const std::size_t channels : {1U, 3U, 8U, 33U, 300U}) {
    const std::size_t rows = 70;
    const auto before = stored_numbers<TypeParam>(rows * channels, 1);
    const auto other = stored_numbers<TypeParam>(rows * channels, 2);
    const auto bias = numbers(channels, 3);
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::leaky_relu, Epilogue::add}) {
      auto y = before;
      run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
        const TypeParam* const added = epilogue == Epilogue::add ? memory.in(other) : nullptr;
        bias_activation(stream, static_cast<std::int64_t>(rows),
                        static_cast<std::int64_t>(channels), memory.in(bias), epilogue, added,
                        memory.in_out(y));
      });
      std::vector<float> expected;
      for (std::size_t i = 0; i < before.size(); ++i) {
        const float sum = static_cast<float>(before[i]) + bias[i % channels];
        expected.push_back(epilogue == Epilogue::add          ? sum + static_cast<float>(other[i])
                           : epilogue == Epilogue::leaky_relu ? LeakyRelu{}(sum)
                                                              : sum);
      }
      expect_stored(y, expected);
    }
  }
}

TYPED_TEST(StoredActivations, AddOnAnyAddress) {
  const std::size_t n = 64;
  for (const std::size_t offset : {0U, 1U}) {  // 1: packs of 16 bytes would be misaligned
    const auto x = stored_numbers<TypeParam>(n + offset, 1);
    const auto before = stored_numbers<TypeParam>(n + offset, 2);
    auto y = before;
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      add(stream, static_cast<std::int64_t>(n), memory.in(x) + offset, memory.in_out(y) + offset);
    });
    std::vector<float> expected = floats(before);
    for (std::size_t i = offset; i < expected.size(); ++i) {
      expected[i] += static_cast<float>(x[i]);
    }
    expect_stored(y, expected);
  }
}

TYPED_TEST(StoredActivations, ChannelOrderBothWays) {
  for (const std::int64_t channels : {1, 3, 40}) {
    const std::int64_t images = 3;
    const std::int64_t pixels = 35;
    const std::vector<float> major =
        numbers(static_cast<std::size_t>(images * channels * pixels), 1);
    std::vector<TypeParam> last(major.size());
    std::vector<float> back(major.size());
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      TypeParam* const stored = memory.in_out(last);
      to_channels_last(stream, images, channels, pixels, memory.in(major), stored);
      to_channel_major(stream, images, channels, pixels, stored, memory.in_out(back));
    });
    std::vector<float> expected(major.size());
    to_channels_last(images, channels, pixels, major.data(), expected.data());
    expect_stored(last, expected);
    EXPECT_EQ(back, floats(stored<TypeParam>(major)));
  }
}

}  // namespace
}  // namespace ebm
