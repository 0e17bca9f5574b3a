#include "host/output/png_grid.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "cuda/base/atomic_file.h"
#include "cuda/base/ceil_div.h"
#include "cuda/base/errors.h"
#include "host/files/shape.h"

namespace ebm {
namespace {

constexpr std::size_t kPadding = 2;
constexpr std::size_t kLeastWidth = 512;

/// Throws unless `size` is that of `count` images.
void require_size(std::size_t size, int count, int channels, int height, int width) {
  const std::array<std::int64_t, 4> shape = {count, channels, height, width};
  if (count < 1 || (channels != 1 && channels != 3) || height < 1 || width < 1 ||
      element_count(shape) != static_cast<std::int64_t>(size)) {
    throw std::invalid_argument(
        fmt::format("png: {} values are not {} images of 1 or 3 channels: [{}]", size, count,
                    fmt::join(shape, ", ")));
  }
}

std::uint8_t grey_level(float x) {
  if (!(x > -1.0F)) {  // NaN too
    return 0;
  }
  return static_cast<std::uint8_t>(std::lround((std::min(x, 1.0F) + 1.0F) / 2.0F * 255.0F));
}

/// Every pixel as a square of `factor` × `factor`.
std::vector<std::uint8_t> enlarged(const std::vector<std::uint8_t>& pixels, std::size_t height,
                                   std::size_t width, std::size_t depth, std::size_t factor) {
  std::vector<std::uint8_t> large(pixels.size() * factor * factor);
  auto next = large.begin();
  for (std::size_t y = 0; y < height * factor; ++y) {
    for (std::size_t x = 0; x < width * factor; ++x) {
      const auto from = static_cast<std::ptrdiff_t>((y / factor * width + x / factor) * depth);
      next = std::copy_n(pixels.begin() + from, depth, next);
    }
  }
  return large;
}

}  // namespace

void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> pixels, int height,
               int width, int channels) {
  require_size(pixels.size(), 1, channels, height, width);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> bytes(size);
  // libpng's simplified interface returns its errors; no longjmp crosses this code.
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw OutputError(fmt::format("cannot write {}: {}", path.string(), image.message));
  }
  const std::array pieces = {std::span<const std::byte>(bytes).first(size)};
  write_file_atomically(path, pieces);
}

std::size_t write_png_grid(const std::filesystem::path& path, std::span<const float> states,
                           int count, int channels, int height, int width) {
  require_size(states.size(), count, channels, height, width);
  const auto image_height = static_cast<std::size_t>(height);
  const auto image_width = static_cast<std::size_t>(width);
  const auto depth = static_cast<std::size_t>(channels);
  const auto images = static_cast<std::size_t>(count);
  const auto columns = static_cast<std::size_t>(std::sqrt(count));
  const std::size_t rows = ceil_div(images, columns);
  const std::size_t grid_height = rows * (image_height + kPadding) + kPadding;
  const std::size_t grid_width = columns * (image_width + kPadding) + kPadding;
  std::vector<std::uint8_t> pixels(grid_height * grid_width * depth);
  auto state = states.begin();
  for (std::size_t i = 0; i < images; ++i) {
    const std::size_t top = kPadding + i / columns * (image_height + kPadding);
    const std::size_t left = kPadding + i % columns * (image_width + kPadding);
    for (std::size_t c = 0; c < depth; ++c) {
      for (std::size_t y = 0; y < image_height; ++y) {
        for (std::size_t x = 0; x < image_width; ++x) {
          pixels[((top + y) * grid_width + left + x) * depth + c] = grey_level(*state++);
        }
      }
    }
  }
  const std::size_t factor = ceil_div(kLeastWidth, std::min(grid_width, kLeastWidth));
  write_png(path, enlarged(pixels, grid_height, grid_width, depth, factor),
            static_cast<int>(grid_height * factor), static_cast<int>(grid_width * factor),
            channels);
  return static_cast<std::size_t>(
      std::ranges::count_if(states, [](float x) { return !(x >= -1.0F && x <= 1.0F); }));
}

}  // namespace ebm
