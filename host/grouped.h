// Whole numbers for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

namespace ebm {

/// 1234567 -> "1,234,567"; `value` is not negative.
inline std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (auto place = std::ssize(digits) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

}  // namespace ebm
