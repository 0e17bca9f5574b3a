// Numbers in the metadata of a safetensors file, which are texts.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "host/errors.h"
#include "host/output/safetensors.h"

namespace ebm {

/// The number under `key`, if the key is there. Throws InputFileError when it is not a number.
template <class Number>
std::optional<Number> metadata_number(const TensorFile& file, std::string_view key) {
  const auto found = file.metadata.find(std::string(key));
  if (found == file.metadata.end()) {
    return std::nullopt;
  }
  const std::string& text = found->second;
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw InputFileError(fmt::format("{}: metadata key '{}' is '{}', which is not a number",
                                     file.path.string(), key, text));
  }
  return value;
}

}  // namespace ebm
