#include "host/data/picture.h"

#include <gtest/gtest.h>
#include <png.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/exif.h"
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

// Pillow 13.0 reads the same levels with these chunks as without.
TEST(Picture, ColourManagementChangesNoLevel) {
  const std::string srgb_primaries =
      big_endian(31270, 4) + big_endian(32900, 4) + big_endian(64000, 4) + big_endian(33000, 4) +
      big_endian(30000, 4) + big_endian(60000, 4) + big_endian(15000, 4) + big_endian(6000, 4);
  std::string profile(200, '\0');
  uLongf size = profile.size();
  const std::string nonsense = "no profile";
  compress(reinterpret_cast<Bytef*>(profile.data()), &size,
           reinterpret_cast<const Bytef*>(nonsense.data()), nonsense.size());
  for (const int channels : {1, 3}) {
    const Picture picture = smooth_picture(20, 33, channels);
    const std::string png = png_bytes(picture);
    for (const auto& [type, data] : std::vector<std::pair<std::string, std::string>>{
             {"gAMA", big_endian(100'000, 4)},  // linear light
             {"gAMA", big_endian(45'455, 4)},
             {"gAMA", big_endian(55'556, 4)},
             {"cHRM", srgb_primaries},
             {"sRGB", std::string(1, '\0')},
             {"iCCP", std::string("x\0\0", 3) + profile.substr(0, size)},
             {"sBIT", std::string(static_cast<std::size_t>(channels), '\5')},
             {"bKGD", std::string(static_cast<std::size_t>(2 * channels), '\1')},
             {"tEXt", std::string("a\0b", 3)}}) {
      EXPECT_EQ(decode(with_chunk(png, type, data)).pixels, picture.pixels) << type;
    }
    EXPECT_EQ(
        decode(with_chunk(with_chunk(png, "cHRM", srgb_primaries), "gAMA", big_endian(100'000, 4)))
            .pixels,
        picture.pixels);
  }
  const std::vector<std::uint8_t> grey_alpha = {10, 0, 40, 128};
  EXPECT_EQ(decode(with_chunk(png_of(grey_alpha.data(), 1, 2, PNG_FORMAT_GA), "gAMA",
                              big_endian(100'000, 4)))
                .pixels,
            (std::vector<std::uint8_t>{10, 40}));
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
  const std::vector<std::uint16_t> levels = {0, 255, 256, 0x80FF, 65535, 0x12FF};
  const Picture read = decode(png_of(levels.data(), 1, 6, PNG_FORMAT_LINEAR_Y));
  EXPECT_EQ(read.channels, 1);
  EXPECT_EQ(read.pixels, (std::vector<std::uint8_t>{0, 0, 1, 128, 255, 18}));
  EXPECT_EQ(decode(png_of(levels.data(), 1, 2, PNG_FORMAT_LINEAR_RGB)).pixels, read.pixels);
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
}

// Pillow 13.0 makes of constant C, M, Y, K, stored inverted, (255 − K) − round(C (255 − K) / 255).
TEST(Picture, CmykBecomesRgb) {
  struct Case {
    std::array<std::uint8_t, 4> stored;
    std::array<std::uint8_t, 3> rgb;
  };
  for (const auto& [stored, rgb] : {Case{{100, 50, 200, 255}, {100, 50, 200}},
                                    {{100, 50, 200, 128}, {50, 25, 100}},
                                    {{255, 255, 255, 255}, {255, 255, 255}},
                                    {{255, 255, 255, 0}, {0, 0, 0}},
                                    {{0, 128, 255, 64}, {0, 32, 64}}}) {
    Picture cmyk{{}, 16, 24, 4};
    Picture expected{{}, 16, 24, 3};
    for (int i = 0; i < 16 * 24; ++i) {
      cmyk.pixels.insert(cmyk.pixels.end(), stored.begin(), stored.end());
      expected.pixels.insert(expected.pixels.end(), rgb.begin(), rgb.end());
    }
    for (const bool progressive : {false, true}) {
      const Picture read = decode(jpeg_bytes(cmyk, progressive));
      EXPECT_EQ(read.channels, 3);
      EXPECT_EQ(read.height, 16);
      EXPECT_EQ(read.width, 24);
      ASSERT_EQ(read.pixels.size(), expected.pixels.size());
      const Picture from_ycck = decode(jpeg_bytes(cmyk, progressive, true));
      ASSERT_EQ(from_ycck.pixels.size(), expected.pixels.size());
      for (std::size_t i = 0; i < expected.pixels.size(); ++i) {
        ASSERT_NEAR(read.pixels[i], expected.pixels[i], 1) << i;       // quantized by 2
        ASSERT_NEAR(from_ycck.pixels[i], expected.pixels[i], 3) << i;  // rounded there and back
      }
    }
  }
}

TEST(Picture, IsTurnedAsTheCameraSaysWhereAsked) {
  const Picture stored{{1, 2, 3, 4, 5, 6}, 2, 3, 1};
  // As Pillow's ImageOps.exif_transpose() turns it; a column of height and rows, for 1 to 8.
  const std::vector<std::vector<std::uint8_t>> seen = {
      {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
      {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  const std::string jpeg = jpeg_bytes(smooth_picture(20, 30, 3));
  const Picture of_jpeg = decode(jpeg);
  for (int orientation = 0; orientation <= 9; ++orientation) {
    const std::string exif = exif_of(orientation);
    EXPECT_EQ(exif_orientation({reinterpret_cast<const std::uint8_t*>(exif.data()), exif.size()}),
              orientation == 0 || orientation == 9 ? 1 : orientation);
    const bool turns = orientation >= 1 && orientation <= 8;
    const std::string png = with_chunk(png_bytes(stored), "eXIf", exif);
    EXPECT_EQ(decode(png).pixels, stored.pixels);
    const Picture read = decode_picture(std::as_bytes(std::span(png)), "png", ExifUse::apply);
    EXPECT_EQ(read.pixels, seen[turns ? static_cast<std::size_t>(orientation - 1) : 0]);
    EXPECT_EQ(read.height, turns && orientation >= 5 ? 3 : 2);
    EXPECT_EQ(read.width, turns && orientation >= 5 ? 2 : 3);

    std::string with_exif = jpeg;
    with_exif.insert(2, "\xFF\xE1" + big_endian(static_cast<std::uint32_t>(exif.size() + 8), 2) +
                            std::string("Exif\0\0", 6) + exif);
    EXPECT_EQ(decode(with_exif).pixels, of_jpeg.pixels);
    EXPECT_EQ(decode_picture(std::as_bytes(std::span(with_exif)), "jpeg", ExifUse::apply).pixels,
              upright(of_jpeg, turns ? orientation : 1).pixels);
  }
}

TEST(Picture, DamagedExifDataSayNothing) {
  const auto orientation = [](const std::string& exif) {
    return exif_orientation({reinterpret_cast<const std::uint8_t*>(exif.data()), exif.size()});
  };
  const std::string exif = exif_of(6);
  for (std::size_t size = 0; size < exif.size() - 8; ++size) {
    EXPECT_EQ(orientation(exif.substr(0, size)), 1) << size;
  }
  std::string little = "II*" + std::string(1, '\0');
  little += std::string("\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0", 18);
  EXPECT_EQ(orientation(little), 8);
  for (const std::string& place : {std::string("\xFF\xFF\xFF\xFF"), std::string("\0\0\0\x30", 4)}) {
    std::string elsewhere = exif;
    elsewhere.replace(4, 4, place);
    EXPECT_EQ(orientation(elsewhere), 1);
  }
  std::string many = exif;
  many.replace(8, 2, "\xFF\xFF");
  EXPECT_EQ(orientation(many), 6);
  EXPECT_EQ(orientation("MI" + exif.substr(2)), 1);
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
