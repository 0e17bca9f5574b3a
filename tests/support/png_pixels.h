// The pixels of a PNG file, for tests of what is drawn.
#pragma once

#include <gtest/gtest.h>
#include <png.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace ebm {

struct PngPixels {
  int height = 0;
  int width = 0;
  std::vector<std::array<std::uint8_t, 3>> pixels;  ///< red, green, blue

  std::array<std::uint8_t, 3> at(int y, int x) const {
    return pixels.at(static_cast<std::size_t>(y * width + x));
  }
};

/// Decodes with libpng.
inline PngPixels read_png_pixels(const std::filesystem::path& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_file(&image, path.c_str()), 0) << image.message;
  image.format = PNG_FORMAT_RGB;
  PngPixels picture{static_cast<int>(image.height), static_cast<int>(image.width), {}};
  picture.pixels.resize(std::size_t{image.height} * image.width);
  EXPECT_NE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr), 0)
      << image.message;
  return picture;
}

}  // namespace ebm
