#include "host/data/state_array.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "cuda/base/errors.h"
#include "host/data/prepare_images.h"
#include "host/files/npy.h"
#include "tests/support/picture_files.h"

namespace ebm {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr Shape kColour{3, 8, 8};

class StateArrays : public testing::Test {
 protected:
  std::filesystem::path array(const Sizes& shape, const std::vector<std::uint8_t>& levels) const {
    write_bytes(folder_ / "x.npy",
                npy_header("|u1", shape) + std::string(levels.begin(), levels.end()));
    return folder_ / "x.npy";
  }
  std::string refusal(const std::filesystem::path& path, const Shape& state) const {
    return message_of<InputFileError>([&] { read_state_array(path, state); });
  }

  const TemporaryFolder folder_;
};

/// Pictures one after another, each as its pixels or as planes of its channels.
std::vector<std::uint8_t> together(const std::vector<Picture>& pictures, bool planes) {
  std::vector<std::uint8_t> levels;
  for (const Picture& picture : pictures) {
    const auto channels = static_cast<std::size_t>(picture.channels);
    const std::size_t plane = picture.pixels.size() / channels;
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
      levels.push_back(picture.pixels[planes ? i % plane * channels + i / plane : i]);
    }
  }
  return levels;
}

std::vector<float> prepared(const std::vector<Picture>& pictures, const Shape& state) {
  return prepare_images(
             pictures.size(), [&](std::size_t i) { return pictures[i]; }, state.height,
             state.channels)
      .images;
}

TEST_F(StateArrays, FloatsAreStatesAsTheyAre) {
  const Sizes shape{2, 3, 8, 8};
  std::vector<float> values(384, 300);
  write_npy(folder_ / "x.npy", shape, std::span<const float>(values));
  const StateArray states = read_state_array(folder_ / "x.npy", kColour);
  EXPECT_EQ(states.states, values);
  EXPECT_EQ(states.shape, shape);
  EXPECT_EQ(states.count(), 2);
  EXPECT_TRUE(
      mentions(refusal(folder_ / "x.npy", {1, 8, 8}), {"x.npy", "(2, 3, 8, 8)", "(N, 1, 8, 8)"}));
  EXPECT_TRUE(mentions(refusal(folder_ / "x.npy", {2, 1, 1}), {"(N, 2, 1, 1)"}));
  for (const Sizes& points : {Sizes{192, 2}, Sizes{192, 2, 1, 1}}) {
    write_npy(folder_ / "x.npy", points, std::span<const float>(values));
    EXPECT_EQ(read_state_array(folder_ / "x.npy", {2, 1, 1}).shape, points);
  }
}

TEST_F(StateArrays, LevelsArePicturesPreparedAsInTraining) {
  const std::vector<Picture> colour{smooth_picture(8, 8, 3, 1), smooth_picture(8, 8, 3, 2)};
  const std::vector<Picture> larger{smooth_picture(20, 30, 3, 1), smooth_picture(20, 30, 3, 2)};
  const std::vector<Picture> grey{smooth_picture(28, 28, 1, 1), smooth_picture(28, 28, 1, 2)};
  for (const int channels : {1, 3}) {
    const Shape state{channels, 8, 8};
    const auto read = [&](const Sizes& shape, const std::vector<Picture>& pictures, bool planes) {
      const StateArray states = read_state_array(array(shape, together(pictures, planes)), state);
      EXPECT_EQ(states.shape, (Sizes{2, channels, 8, 8}));
      EXPECT_EQ(states.states, prepared(pictures, state));
    };
    read({2, 8, 8, 3}, colour, false);
    read({2, 3, 8, 8}, colour, true);
    read({2, 20, 30, 3}, larger, false);
    read({2, 3, 20, 30}, larger, true);
    read({2, 28, 28}, grey, false);
    read({2, 28, 28, 1}, grey, false);
    read({2, 1, 28, 28}, grey, true);
  }
  const StateArray ends = read_state_array(array({2, 1, 1}, {0, 255}), {1, 8, 8});
  EXPECT_EQ(ends.states.front(), -1);
  EXPECT_EQ(ends.states.back(), 1);
}

TEST_F(StateArrays, OtherShapesOfLevelsAreRefused) {
  const std::vector<std::uint8_t> levels(384);
  for (const Sizes& shape : {Sizes{384}, Sizes{2, 192}, Sizes{2, 2, 8, 12}, Sizes{2, 3, 8, 8, 1}}) {
    EXPECT_TRUE(mentions(refusal(array(shape, levels), kColour),
                         {"x.npy", "(N, height, width, channels)", "1 or 3"}));
  }
  EXPECT_TRUE(mentions(refusal(array({0, 8, 8}, {}), kColour), {"(0, 8, 8)"}));
  EXPECT_TRUE(mentions(refusal(array({192, 2}, levels), {2, 1, 1}),
                       {"8-bit pictures", "2 × 1 × 1", "astype('<f4')"}));
}

}  // namespace
}  // namespace ebm
