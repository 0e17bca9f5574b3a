// Shapes of arrays in files.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace ebm {

/// Number of elements of an array of this shape (1 for no dimensions at all); none when a dimension
/// is negative or the number does not fit.
inline std::optional<std::int64_t> element_count(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && count > std::numeric_limits<std::int64_t>::max() / size)) {
      return std::nullopt;
    }
    count *= size;
  }
  return count;
}

}  // namespace ebm
