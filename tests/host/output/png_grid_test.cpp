#include "host/output/png_grid.h"

#include <gtest/gtest.h>
#include <png.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

struct Picture {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;

  std::uint8_t at(int y, int x, int c = 0) const {
    const int index = (y * width + x) * channels + c;
    return pixels.at(static_cast<std::size_t>(index));
  }
};

/// Decodes with libpng, in the file's own number of channels.
Picture read_png(const std::filesystem::path& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_file(&image, path.c_str()), 0) << image.message;
  image.format &= PNG_FORMAT_FLAG_COLOR;
  Picture picture{static_cast<int>(image.height),
                  static_cast<int>(image.width),
                  image.format == PNG_FORMAT_RGB ? 3 : 1,
                  {}};
  picture.pixels.resize(PNG_IMAGE_SIZE(image));
  EXPECT_NE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr), 0)
      << image.message;
  return picture;
}

TEST(Png, KeepsEveryPixel) {
  const TemporaryFolder folder;
  for (const int channels : {1, 3}) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(37 * 53 * channels));
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<std::uint8_t>(i * 2654435761U >> 16);
    }
    write_png(folder / "picture.png", pixels, 37, 53, channels);
    const Picture picture = read_png(folder / "picture.png");
    EXPECT_EQ(picture.height, 37);
    EXPECT_EQ(picture.width, 53);
    EXPECT_EQ(picture.channels, channels);
    EXPECT_EQ(picture.pixels, pixels);
  }
}

TEST(Png, IsTheSameBytesEachTime) {
  const TemporaryFolder folder;
  const std::array<std::uint8_t, 12> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  write_png(folder / "a.png", pixels, 2, 2, 3);
  write_png(folder / "b.png", pixels, 2, 2, 3);
  EXPECT_EQ(read_bytes(folder / "a.png"), read_bytes(folder / "b.png"));
}

TEST(Png, RefusesSizesThatDisagree) {
  const TemporaryFolder folder;
  const std::array<std::uint8_t, 12> pixels{};
  EXPECT_THROW(write_png(folder / "a.png", pixels, 2, 2, 1), std::invalid_argument);
  EXPECT_THROW(write_png(folder / "a.png", pixels, 3, 2, 2), std::invalid_argument);
  EXPECT_THROW(write_png(folder / "a.png", pixels, -2, -2, 3), std::invalid_argument);
  EXPECT_THROW(write_png(folder / "a.png", {}, 0, 2, 1), std::invalid_argument);
  EXPECT_TRUE(folder.names().empty());
}

TEST(Png, LeavesNothingWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const std::array<std::uint8_t, 12> pixels{};
  const FileSizeLimit limit(16);
  EXPECT_TRUE(
      mentions(message_of<OutputError>([&] { write_png(folder / "a.png", pixels, 2, 2, 3); }),
               {(folder / "a.png").string(), "File too large"}));
  EXPECT_TRUE(folder.names().empty());
}

/// A grid as it is written, without the enlargement: each of its pixels once. Expects the squares
/// that one pixel became to be of one colour.
Picture read_grid(const std::filesystem::path& path, int factor) {
  const Picture large = read_png(path);
  EXPECT_EQ(large.width % factor, 0);
  EXPECT_EQ(large.height % factor, 0);
  Picture small{large.height / factor, large.width / factor, large.channels, {}};
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) {
      for (int c = 0; c < large.channels; ++c) {
        if (y % factor == 0 && x % factor == 0) {
          small.pixels.push_back(large.at(y, x, c));
        }
        EXPECT_EQ(large.at(y, x, c), large.at(y - y % factor, x - x % factor, c));
      }
    }
  }
  return small;
}

TEST(PngGrid, IsEnlargedToAtLeast512PixelsWide) {
  const TemporaryFolder folder;
  struct Case {
    int count, side, width;  // of the picture, at least 512 by the fewest whole times
  };
  // 1 of 32: 36 · 15; 100 of 32: 342 · 2; 1 of 508: 512; 1 of 507: 511 · 2; 225 of 32: 512.
  for (const auto& [count, side, width] :
       {Case{1, 32, 540}, {100, 32, 684}, {1, 508, 512}, {1, 507, 1022}, {225, 32, 512}}) {
    const std::vector<float> states(static_cast<std::size_t>(count * side * side), 0.5F);
    write_png_grid(folder / "grid.png", states, count, 1, side, side);
    EXPECT_EQ(read_png(folder / "grid.png").width, width) << count << " of " << side;
  }
}

TEST(PngGrid, PlacesImagesRowByRowWithBlackBorders) {
  const TemporaryFolder folder;
  // 7 images of 3 × 5: ⌊√7⌋ = 2 a row, 4 rows, the last half empty.
  const int count = 7;
  std::vector<float> states;
  for (int i = 0; i < count; ++i) {
    for (int p = 0; p < 15; ++p) {
      states.push_back(static_cast<float>(i * 15 + p + 1) / 255 * 2 - 1);
    }
  }
  write_png_grid(folder / "grid.png", states, count, 1, 3, 5);
  const Picture grid = read_grid(folder / "grid.png", 32);  // 512 / 16
  ASSERT_EQ(grid.height, 4 * 5 + 2);
  ASSERT_EQ(grid.width, 2 * 7 + 2);
  ASSERT_EQ(grid.channels, 1);
  std::vector<std::uint8_t> expected(grid.pixels.size(), 0);
  for (int i = 0; i < count; ++i) {
    for (int p = 0; p < 15; ++p) {
      const int y = 2 + i / 2 * 5 + p / 5;
      const int x = 2 + i % 2 * 7 + p % 5;
      const int index = y * grid.width + x;
      expected[static_cast<std::size_t>(index)] = static_cast<std::uint8_t>(i * 15 + p + 1);
    }
  }
  EXPECT_EQ(grid.pixels, expected);
}

TEST(PngGrid, TakesChannelsAsPlanes) {
  const TemporaryFolder folder;
  const std::array<float, 12> states = {-1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1};
  write_png_grid(folder / "grid.png", states, 1, 3, 2, 2);
  const Picture grid = read_grid(folder / "grid.png", 86);  // 512 / 6, up
  ASSERT_EQ(grid.channels, 3);
  ASSERT_EQ(grid.height, 6);
  for (const auto& [y, x] : {std::pair{2, 2}, std::pair{3, 3}}) {
    EXPECT_EQ(grid.at(y, x, 0), 0);
    EXPECT_EQ(grid.at(y, x, 1), 128);
    EXPECT_EQ(grid.at(y, x, 2), 255);
  }
}

TEST(PngGrid, ClampsAndRoundsComponents) {
  const TemporaryFolder folder;
  // Levels 254.4 and 254.6 round to 254 and 255.
  const std::array<float, 9> states = {
      -INFINITY, -7.0F, -1.0F,   NAN, 254.4F / 255 * 2 - 1, 254.6F / 255 * 2 - 1,
      1.0F,      1.5F,  INFINITY};
  const std::array<int, 9> expected = {0, 0, 0, 0, 254, 255, 255, 255, 255};
  EXPECT_EQ(write_png_grid(folder / "grid.png", states, 1, 1, 1, 9), 5U);  // outside
  const Picture grid = read_grid(folder / "grid.png", 40);                 // 512 / 13, up
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(grid.at(2, 2 + i), expected[static_cast<std::size_t>(i)]) << i;
  }
}

TEST(PngGrid, RefusesSizesThatDisagree) {
  const TemporaryFolder folder;
  const std::array<float, 8> states{};
  EXPECT_THROW(write_png_grid(folder / "a.png", states, 3, 1, 2, 2), std::invalid_argument);
  EXPECT_THROW(write_png_grid(folder / "a.png", states, 2, 2, 2, 1), std::invalid_argument);
  EXPECT_THROW(write_png_grid(folder / "a.png", {}, 0, 1, 2, 2), std::invalid_argument);
}

}  // namespace
}  // namespace ebm
