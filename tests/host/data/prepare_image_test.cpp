#include "host/data/prepare_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/prepare_images.h"
#include "host/files/safetensors.h"
#include "tests/support/places.h"

namespace ebm {
namespace {

std::vector<float> prepare(const std::vector<std::uint8_t>& pixels, int height, int width,
                           int channels, int image_size) {
  std::vector<float> prepared(static_cast<std::size_t>(channels * image_size * image_size));
  prepare_image({pixels, height, width, channels}, image_size, prepared);
  return prepared;
}

float scaled(int level) { return static_cast<float>(level / 255.0 * 2.0 - 1.0); }

TEST(PrepareImage, MatchesPillowLevelForLevel) {
  const TensorFile goldens = read_safetensors(test_data() / "images.safetensors");
  for (const std::string name : {"digit", "square", "wide", "tall", "tiny", "same"}) {
    const Tensor& pixels = goldens.at(name + ".pixels");
    const Tensor& expected = goldens.at(name + ".prepared");
    const std::vector<float> prepared =
        prepare({pixels.values.begin(), pixels.values.end()}, static_cast<int>(pixels.shape[0]),
                static_cast<int>(pixels.shape[1]), static_cast<int>(pixels.shape[2]), 32);
    ASSERT_EQ(prepared.size(), expected.values.size());
    float worst = 0;
    for (std::size_t i = 0; i < prepared.size(); ++i) {
      worst = std::max(worst, std::abs(prepared[i] - expected.values[i]));
    }
    EXPECT_LE(worst, 1e-6F) << name;  // a level is 8e-3
  }
}

TEST(PrepareImages, MoreThanTheMemoryHoldsAreRefusedBeforeTheFirstIsRead) {
  const auto picture = [](std::size_t) -> Picture {
    ADD_FAILURE() << "a picture was read";
    return {};
  };
  try {
    prepare_images(2'000'000'000, picture, 1024, 3);  // 23 TiB
    FAIL() << "accepted";
  } catch (const ConfigurationError& error) {
    EXPECT_NE(std::string(error.what()).find("data.image_size: 2000000000 images of 3x1024x1024"),
              std::string::npos)
        << error.what();
  }
}

TEST(PrepareImage, KeepsTheLevelsOfAnImageOfTheRightSize) {
  std::vector<std::uint8_t> pixels(256);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  const std::vector<float> prepared = prepare(pixels, 16, 16, 1, 16);
  for (int level = 0; level < 256; ++level) {
    EXPECT_EQ(prepared[static_cast<std::size_t>(level)], scaled(level));
  }
}

TEST(PrepareImage, KeepsAConstantAtEverySizeAndColour) {
  for (const auto& [height, width] : {std::pair{1, 1}, std::pair{7, 31}, std::pair{500, 33},
                                      std::pair{640, 480}, std::pair{1, 3000}}) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width * 3));
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = std::array<std::uint8_t, 3>{0, 100, 255}[i % 3];
    }
    const std::vector<float> prepared = prepare(pixels, height, width, 3, 8);
    for (std::size_t i = 0; i < 64; ++i) {
      EXPECT_EQ(prepared[i], -1.0F);
      EXPECT_EQ(prepared[64 + i], scaled(100));
      EXPECT_EQ(prepared[128 + i], 1.0F);
    }
  }
}

TEST(PrepareImage, CropsTheCentreAsPythonRounds) {
  // Left over by 1, 3, 5 and 7 columns: halves go to the even offset.
  for (const auto& [extra, offset] : {std::pair{0, 0}, std::pair{1, 0}, std::pair{2, 1},
                                      std::pair{3, 2}, std::pair{5, 2}, std::pair{7, 4}}) {
    const int width = 4 + extra;
    std::vector<std::uint8_t> wide(static_cast<std::size_t>(4 * width));
    std::vector<std::uint8_t> tall(wide.size());
    for (std::size_t i = 0; i < wide.size(); ++i) {
      wide[i] = static_cast<std::uint8_t>(i % static_cast<std::size_t>(width));
      tall[i] = static_cast<std::uint8_t>(i / 4);
    }
    EXPECT_EQ(prepare(wide, 4, width, 1, 4).front(), scaled(offset)) << extra;
    EXPECT_EQ(prepare(tall, width, 4, 1, 4).front(), scaled(offset)) << extra;
  }
}

TEST(PrepareImage, WeighsATriangleWhenShrinking) {
  // Halving: the triangle spans 4 pixels with weights 1, 3, 3, 1 (of 8), less what the edge cuts.
  std::vector<std::uint8_t> square(64);
  for (std::size_t y = 0; y < 8; ++y) {
    square[y * 8] = square[y * 8 + 7] = 80;
  }
  const std::vector<float> prepared = prepare(square, 8, 8, 1, 4);
  EXPECT_EQ(prepared[0], scaled(34));  // 80·3/7 = 34.29
  EXPECT_EQ(prepared[1], scaled(0));
  EXPECT_EQ(prepared[3], scaled(34));
}

TEST(PrepareImage, PutsChannelsInPlanes) {
  const std::vector<std::uint8_t> pixels = {0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23};
  const std::vector<float> prepared = prepare(pixels, 2, 2, 3, 2);
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(prepared[static_cast<std::size_t>(c * 4 + i)], scaled(10 * c + i));
    }
  }
}

TEST(PrepareImage, RefusesSizesThatDisagree) {
  const std::vector<std::uint8_t> pixels(12);
  std::vector<float> prepared(4);
  EXPECT_NO_THROW(prepare_image({pixels, 3, 4, 1}, 2, prepared));
  EXPECT_THROW(prepare_image({pixels, 3, 3, 1}, 2, prepared), std::invalid_argument);
  EXPECT_THROW(prepare_image({pixels, 3, 4, 1}, 3, prepared), std::invalid_argument);
  EXPECT_THROW(prepare_image({pixels, 2, 2, 3}, 2, prepared), std::invalid_argument);
  EXPECT_THROW(prepare_image({pixels, -3, -4, 1}, 2, prepared), std::invalid_argument);
  EXPECT_THROW(prepare_image({pixels, 3, 4, 1}, -2, prepared), std::invalid_argument);
}

}  // namespace
}  // namespace ebm
