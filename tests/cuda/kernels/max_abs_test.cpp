// The largest of many values in size.

#include "cuda/kernels/max_abs.cuh"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

float largest_of(const std::vector<float>& values) {
  std::vector<float> largest = {-1};
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    MaxAbs max_abs(Queue(stream...), std::ssize(values));
    const float* const copies = memory.in(values);
    float* const result = memory.in_out(largest);
    max_abs(copies, result);
    max_abs(copies, result);  // its memory is as the first run left it
  });
  return largest[0];
}

TEST(MaxAbs, IsThatOfAnyValueAndOfWhatIsNotFinite) {
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
