#include "host/data/prepare_image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "host/files/shape.h"

namespace ebm {
namespace {

// Pillow computes in fixed point: weights have 22 fractional bits, which leaves a byte and two bits
// of a 32-bit sum, and each of the two passes rounds to 8 bits.
constexpr int kFractionBits = 22;

/// The run of input pixels that one output pixel is a weighted mean of.
struct Taps {
  std::size_t first = 0;
  std::vector<std::int64_t> weights;  ///< fixed point; their sum is 1, but for rounding
};

/// Taps of output pixel `index` when `scale` input pixels, of `size`, go into an output pixel. The
/// weights are a triangle around the output pixel's centre that reaches the neighbours' centres:
/// those of the output when shrinking, of the input when enlarging.
Taps triangle_taps(std::int64_t index, double scale, int size) {
  const double reach = std::max(scale, 1.0);
  const double centre = (static_cast<double>(index) + 0.5) * scale;
  const std::int64_t first = std::max<std::int64_t>(0, std::llround(centre - reach));
  const std::int64_t end = std::min<std::int64_t>(size, std::llround(centre + reach));
  std::vector<double> heights;
  double sum = 0.0;
  for (std::int64_t i = first; i < end; ++i) {
    const double distance = std::abs((static_cast<double>(i) - centre + 0.5) * (1.0 / reach));
    heights.push_back(std::max(0.0, 1.0 - distance));
    sum += heights.back();
  }
  Taps taps{.first = static_cast<std::size_t>(first), .weights = {}};
  for (const double height : heights) {
    taps.weights.push_back(std::llround(height / sum * (1 << kFractionBits)));
  }
  return taps;
}

/// Taps of the `image_size` central pixels of a side of `size` pixels, in an image whose shorter
/// side is `shorter`.
std::vector<Taps> central_taps(int size, int shorter, int image_size) {
  const std::int64_t resized = std::int64_t{image_size} * size / shorter;
  const double scale = static_cast<double>(size) / static_cast<double>(resized);
  // Python's round(), which torchvision crops with, takes halves to even; so does nearbyint.
  const auto offset =
      static_cast<std::int64_t>(std::nearbyint(static_cast<double>(resized - image_size) / 2.0));
  std::vector<Taps> taps;
  for (std::int64_t i = 0; i < image_size; ++i) {
    taps.push_back(triangle_taps(offset + i, scale, size));
  }
  return taps;
}

/// The weighted mean of the levels at `first`, `first + stride`, ….
std::uint8_t weighted_mean(const std::uint8_t* first, std::size_t stride, const Taps& taps) {
  std::int64_t sum = std::int64_t{1} << (kFractionBits - 1);  // to round, not truncate
  for (const std::int64_t weight : taps.weights) {
    sum += weight * *first;
    first += stride;
  }
  return static_cast<std::uint8_t>(std::min<std::int64_t>(sum >> kFractionBits, 255));
}

}  // namespace

void prepare_image(const PixelView& image, int image_size, std::span<float> prepared) {
  const std::array<std::int64_t, 3> shape = {image.height, image.width, image.channels};
  const std::array<std::int64_t, 3> prepared_shape = {image.channels, image_size, image_size};
  if (std::ranges::min(shape) < 1 || image_size < 1 ||
      element_count(shape) != static_cast<std::int64_t>(image.pixels.size()) ||
      element_count(prepared_shape) != static_cast<std::int64_t>(prepared.size())) {
    throw std::invalid_argument("prepare_image: sizes do not match");
  }
  const int shorter = std::min(image.height, image.width);
  const std::vector<Taps> columns = central_taps(image.width, shorter, image_size);
  const std::vector<Taps> rows = central_taps(image.height, shorter, image_size);
  const auto channels = static_cast<std::size_t>(image.channels);
  const auto size = static_cast<std::size_t>(image_size);
  const std::size_t input_row = static_cast<std::size_t>(image.width) * channels;
  const std::size_t narrow_row = size * channels;

  // Every row that the second pass will look at, resized to the columns that the crop keeps.
  const std::size_t first_row = rows.front().first;
  const std::size_t end_row = rows.back().first + rows.back().weights.size();
  std::vector<std::uint8_t> narrow((end_row - first_row) * narrow_row);
  for (std::size_t y = first_row; y < end_row; ++y) {
    const std::uint8_t* input = image.pixels.data() + y * input_row;
    std::uint8_t* output = narrow.data() + (y - first_row) * narrow_row;
    for (const Taps& taps : columns) {
      for (std::size_t c = 0; c < channels; ++c) {
        *output++ = weighted_mean(input + taps.first * channels + c, channels, taps);
      }
    }
  }
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t y = 0; y < size; ++y) {
      const std::uint8_t* input = narrow.data() + (rows[y].first - first_row) * narrow_row + c;
      for (std::size_t x = 0; x < size; ++x) {
        const std::uint8_t level = weighted_mean(input + x * channels, narrow_row, rows[y]);
        prepared[(c * size + y) * size + x] = static_cast<float>(level / 255.0 * 2.0 - 1.0);
      }
    }
  }
}

}  // namespace ebm
