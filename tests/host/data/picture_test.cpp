#include "host/data/picture.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "tests/support/picture_files.h"

namespace ebm {
namespace {

Picture decode(const std::string& file) {
  return decode_picture(std::as_bytes(std::span(file)), "picture");
}

std::string refusal(const std::string& file) {
  return message_of<InputFileError>([&] { decode(file); });
}

/// A PNG file of any of libpng's simplified formats.
std::string png_of(const void* pixels, png_uint_32 height, png_uint_32 width, png_uint_32 format,
                   const void* palette = nullptr, png_uint_32 entries = 0) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  image.colormap_entries = entries;
  std::string bytes(65536, '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels, 0, palette) == 0) {
    throw std::runtime_error(image.message);
  }
  return bytes.substr(0, size);
}

TEST(Picture, PngIsExact) {
  for (const int channels : {1, 3}) {
    const Picture picture = smooth_picture(20, 33, channels);
    const Picture read = decode(png_bytes(picture));
    EXPECT_EQ(read.height, 20);
    EXPECT_EQ(read.width, 33);
    EXPECT_EQ(read.channels, channels);
    EXPECT_EQ(read.pixels, picture.pixels);
  }
}

TEST(Picture, JpegIsClose) {
  for (const bool progressive : {false, true}) {
    for (const int channels : {1, 3}) {
      const Picture picture = smooth_picture(40, 48, channels);
      const Picture read = decode(jpeg_bytes(picture, progressive));
      EXPECT_EQ(read.height, 40);
      EXPECT_EQ(read.width, 48);
      ASSERT_EQ(read.channels, channels);
      ASSERT_EQ(read.pixels.size(), picture.pixels.size());
      for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
        ASSERT_LE(std::abs(read.pixels[i] - picture.pixels[i]), 20) << i;
      }
    }
  }
}

TEST(Picture, DropsAlphaWithoutBlending) {
  const std::vector<std::uint8_t> rgba = {10, 20, 30, 0, 40, 50, 60, 128};
  EXPECT_EQ(decode(png_of(rgba.data(), 1, 2, PNG_FORMAT_RGBA)).pixels,
            (std::vector<std::uint8_t>{10, 20, 30, 40, 50, 60}));
  const std::vector<std::uint8_t> grey_alpha = {10, 0, 40, 128};
  EXPECT_EQ(decode(png_of(grey_alpha.data(), 1, 2, PNG_FORMAT_GA)).pixels,
            (std::vector<std::uint8_t>{10, 40}));
}

TEST(Picture, LooksUpPalettes) {
  const std::vector<std::uint8_t> indices = {1, 0, 1};
  const std::vector<std::uint8_t> palette = {1, 2, 3, 250, 251, 252};
  const Picture read =
      decode(png_of(indices.data(), 1, 3, PNG_FORMAT_RGB_COLORMAP, palette.data(), 2));
  EXPECT_EQ(read.pixels, (std::vector<std::uint8_t>{250, 251, 252, 1, 2, 3, 250, 251, 252}));
}

TEST(Picture, ReducesSixteenBitsToEight) {
  const std::vector<std::uint16_t> levels = {0, 65535};
  const Picture read = decode(png_of(levels.data(), 1, 2, PNG_FORMAT_LINEAR_Y));
  EXPECT_EQ(read.channels, 1);
  EXPECT_EQ(read.pixels, (std::vector<std::uint8_t>{0, 255}));
}

TEST(Picture, NamesWhatItCannotRead) {
  const std::string jpeg = jpeg_bytes(smooth_picture(40, 40, 3));
  const std::string png = png_bytes(smooth_picture(40, 40, 3));
  EXPECT_EQ(refusal(""), "picture: is empty");
  EXPECT_EQ(refusal("GIF89a"), "picture: is neither a JPEG nor a PNG file");
  for (std::size_t size = 4; size < jpeg.size(); size += 7) {
    EXPECT_TRUE(mentions(refusal(jpeg.substr(0, size)), {"picture: cannot be read as a JPEG"}));
  }
  for (std::size_t size = 9; size < png.size() - 12; size += 7) {  // its last 12 bytes say nothing
    EXPECT_TRUE(mentions(refusal(png.substr(0, size)), {"picture: cannot be read as a PNG"}));
  }
  std::string damaged = png;
  damaged[png.size() / 2] ^= 1;
  EXPECT_TRUE(mentions(refusal(damaged), {"cannot be read as a PNG"}));
  EXPECT_TRUE(mentions(refusal(jpeg_bytes(smooth_picture(8, 8, 3)).substr(0, 3) + "xyz"),
                       {"cannot be read as a JPEG"}));
  Picture cmyk{std::vector<std::uint8_t>(400, 100), 10, 10, 4};
  EXPECT_TRUE(mentions(refusal(jpeg_bytes(cmyk)), {"CMYK", "convert it to RGB"}));
}

TEST(Picture, RefusesAbsurdSizes) {
  // The start of a JPEG file: 65500 × 65500 pixels, as its header says.
  std::string jpeg = jpeg_bytes(smooth_picture(8, 8, 1));
  const std::size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  EXPECT_TRUE(mentions(refusal(jpeg), {"65500 pixels wide", "65500 high"}));
}

TEST(Picture, RefusesMorePixelsThanTheFileCanHold) {
  std::string jpeg = jpeg_bytes(smooth_picture(8, 8, 1));
  jpeg.replace(jpeg.find("\xFF\xC0") + 5, 4, "\x27\x10\x27\x10");
  EXPECT_TRUE(mentions(refusal(jpeg), {"10000 × 10000 pixels, more than its"}));
  // The emptiest files there are can be read.
  const std::vector<std::uint8_t> black(std::size_t{2000} * 2000);
  EXPECT_EQ(decode(jpeg_bytes({black, 2000, 2000, 1}, true)).pixels, black);
  EXPECT_EQ(decode(png_bytes({black, 2000, 2000, 1})).pixels, black);
}

TEST(Picture, RefusesJpegFilesOfEndlessScans) {
  std::string jpeg = jpeg_bytes(smooth_picture(8, 8, 3), true);
  const std::string scan = jpeg.substr(jpeg.rfind("\xFF\xDA"));
  for (int i = 0; i < 60; ++i) {
    jpeg.insert(jpeg.size() - 2, scan, 0, scan.size() - 2);
  }
  EXPECT_TRUE(mentions(refusal(jpeg), {"too many scans"}));
}

TEST(Picture, ConvertsBetweenGreyAndColour) {
  const Picture rgb{{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 12, 200, 77}, 1, 5, 3};
  // What Pillow's convert("L") makes of them.
  const Picture grey = with_channels(rgb, 1);
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{76, 150, 29, 255, 130}));
  EXPECT_EQ(grey.channels, 1);
  const Picture repeated = with_channels({{7, 9}, 2, 1, 1}, 3);
  EXPECT_EQ(repeated.pixels, (std::vector<std::uint8_t>{7, 7, 7, 9, 9, 9}));
  EXPECT_EQ(repeated.channels, 3);
  EXPECT_EQ(with_channels(rgb, 3).pixels, rgb.pixels);
  EXPECT_THROW(with_channels(rgb, 2), std::invalid_argument);
}

}  // namespace
}  // namespace ebm
