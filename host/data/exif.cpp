#include "host/data/exif.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace ebm {
namespace {

/// Numbers in either order of bytes; 0 beyond the end.
class Numbers {
 public:
  Numbers(std::span<const std::uint8_t> bytes, bool little) : bytes_(bytes), little_(little) {}

  std::uint32_t at(std::uint64_t place, unsigned size) const {
    if (place + size > bytes_.size()) {
      return 0;
    }
    std::uint32_t number = 0;
    for (unsigned i = 0; i < size; ++i) {
      number = number << 8 | bytes_[place + (little_ ? size - 1 - i : i)];
    }
    return number;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> exif) {
  constexpr std::uint32_t kOrientation = 274;
  constexpr std::uint32_t kShort = 3;
  constexpr std::uint64_t kEntry = 12;
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) {
    return 1;
  }
  const Numbers numbers(exif, exif[0] == 'I');
  const std::uint64_t directory = numbers.at(4, 4);
  const std::uint64_t count = numbers.at(directory, 2);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t entry = directory + 2 + i * kEntry;
    if (numbers.at(entry, 2) == kOrientation && numbers.at(entry + 2, 2) == kShort) {
      const std::uint32_t orientation = numbers.at(entry + 8, 2);
      return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
    }
  }
  return 1;
}

Picture upright(Picture picture, int orientation) {
  if (orientation <= 1) {
    return picture;
  }
  // What is to be seen at (y, x) is in the file at (x, y) from 5 on, then mirrored or not.
  const bool transposed = orientation >= 5;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Picture turned{std::vector<std::uint8_t>(picture.pixels.size()), picture.height, picture.width,
                 picture.channels};
  if (transposed) {
    std::swap(turned.height, turned.width);
  }
  auto to = turned.pixels.begin();
  for (int y = 0; y < turned.height; ++y) {
    for (int x = 0; x < turned.width; ++x) {
      const int row = transposed ? x : y;
      const int column = transposed ? y : x;
      const std::ptrdiff_t from_row = from_bottom ? picture.height - 1 - row : row;
      const std::ptrdiff_t from_column = from_right ? picture.width - 1 - column : column;
      to = std::copy_n(
          picture.pixels.begin() + (from_row * picture.width + from_column) * picture.channels,
          picture.channels, to);
    }
  }
  return turned;
}

}  // namespace ebm
