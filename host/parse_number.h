// Numbers in text.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace ebm {

/// The number that the whole of a text is, as std::from_chars reads it: without a plus sign or
/// space, and within its type's range.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

/// The numbers of a text, which has a separator between each and the next and nothing else.
template <class Number>
std::optional<std::vector<Number>> parse_numbers(std::string_view text, char separator) {
  std::vector<Number> numbers;
  while (true) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::optional<Number> number = parse_number<Number>(text.substr(0, end));
    if (!number) {
      return std::nullopt;
    }
    numbers.push_back(*number);
    if (end == text.size()) {
      return numbers;
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace ebm
