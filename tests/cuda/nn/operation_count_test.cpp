// The arithmetic of the published networks, counted by hand.

#include "cuda/nn/lowering.h"

#include <gtest/gtest.h>

namespace ebm {
namespace {

TEST(OperationCount, OfThePerceptron) {
  const OperationCount count = count_operations(published_network("toy", 2, 32));
  EXPECT_EQ(count.forward, 2 * 32 + 32 * 64 + 64 * 64 + 64 * 64 + 64);
  EXPECT_EQ(count.input_gradient, count.forward);
  EXPECT_EQ(count.langevin_step(), 4.0 * 10368);
}

TEST(OperationCount, OfTheVanillaNetwork) {
  const OperationCount count = count_operations(published_network("vanilla", 3, 32));
  EXPECT_EQ(count.forward,
            1024 * 32 * 27 + 256 * 64 * 512 + 64 * 128 * 1024 + 16 * 256 * 2048 + 4096);
  EXPECT_EQ(count.input_gradient, count.forward);
}

TEST(OperationCount, OfTheNonlocalNetwork) {
  const OperationCount count = count_operations(published_network("nonlocal", 1, 32));
  const std::int64_t convolutions = 1024 * 32 * 9 + 256 * 64 * 288 + 64 * 128 * 576;
  const std::int64_t pointwise = 4 * (256 * 32 * 16 + 64 * 64 * 32);
  const std::int64_t attention = 256 * 64 * 16 + 64 * 16 * 32;
  const std::int64_t linear = 2048 * 256 + 256;
  EXPECT_EQ(count.forward, convolutions + pointwise + 2 * attention + linear);
  EXPECT_EQ(count.input_gradient, convolutions + pointwise + 4 * attention + linear);
}

}  // namespace
}  // namespace ebm
