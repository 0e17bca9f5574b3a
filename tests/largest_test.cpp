// The largest of many values in size.

#include "cuda/kernels/largest.cuh"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/kernel_launch.h"
#include "tests/numbers.h"

namespace ebm {
namespace {

/// The launcher under test: the CPU's returns what the CUDA one leaves in memory.
float largest_of(const std::vector<float>& values) {
  std::vector<float> largest = {-1};
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
#ifdef EBM_TEST_ON_CUDA
    DeviceLargestSize largest_size(stream..., std::ssize(values));
    const float* const copies = memory.in(values);
    float* const result = memory.in_out(largest);
    largest_size(copies, result);
    largest_size(copies, result);  // its memory is as the first run left it
#else
    largest[0] = largest_size(stream..., std::ssize(values), memory.in(values));
#endif
  });
  return largest[0];
}

TEST(LargestSize, IsThatOfAnyValueAndOfWhatIsNotFinite) {
  EXPECT_EQ(largest_of({1.0F, -3.5F, 2.0F, -0.0F}), 3.5F);
  EXPECT_EQ(largest_of({}), 0.0F);
  std::vector<float> many(300'000, -1.0F);
  many.back() = 2;
  EXPECT_EQ(largest_of(many), 2.0F);
  many[77'777] = -kInfinity;
  EXPECT_EQ(largest_of(many), kInfinity);
  many[3] = -kNan;
  EXPECT_TRUE(std::isnan(largest_of(many)));
}

}  // namespace
}  // namespace ebm
