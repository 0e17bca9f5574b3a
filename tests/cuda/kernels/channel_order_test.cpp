// Between channel-major and channels-last images.

#include "cuda/kernels/channel_order.cuh"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

using Images = std::vector<float>;

// The launchers under test.

Images channels_last(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                     const Images& in) {
  Images out(in.size());
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    to_channels_last(stream..., images, channels, pixels, memory.in(in), memory.in_out(out));
  });
  return out;
}

Images channel_major(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                     const Images& in) {
  Images out(in.size());
  run_kernel([&](KernelMemory& memory, const auto&... stream) {
    to_channel_major(stream..., images, channels, pixels, memory.in(in), memory.in_out(out));
  });
  return out;
}

TEST(ChannelOrder, PixelsTakeTheirChannelsAlong) {
  // Two images of three pixels in two channels: the channel is the tens.
  const Images major = {1, 2, 3, 11, 12, 13, 101, 102, 103, 111, 112, 113};
  const Images last = {1, 11, 2, 12, 3, 13, 101, 111, 102, 112, 103, 113};
  EXPECT_EQ(channels_last(2, 2, 3, major), last);
  EXPECT_EQ(channel_major(2, 2, 3, last), major);
}

TEST(ChannelOrder, ThereAndBackChangesNothing) {
  for (const std::int64_t channels : {1, 3, 32}) {
    const Images in = numbers(static_cast<std::size_t>(5 * channels * 64), 1);
    EXPECT_EQ(channel_major(5, channels, 64, channels_last(5, channels, 64, in)), in) << channels;
  }
}

}  // namespace
}  // namespace ebm
