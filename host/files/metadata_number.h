// Numbers in the metadata of a safetensors file, which are texts.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "cuda/base/errors.h"
#include "host/files/safetensors.h"
#include "host/parse_number.h"

namespace ebm {

/// The number under `key`, if the key is there. Throws InputFileError when it is not a number.
template <class Number>
std::optional<Number> metadata_number(const TensorFile& file, std::string_view key) {
  const auto found = file.metadata.find(std::string(key));
  if (found == file.metadata.end()) {
    return std::nullopt;
  }
  const std::optional<Number> value = parse_number<Number>(found->second);
  if (!value) {
    throw InputFileError(fmt::format("{}: metadata key '{}' is '{}', which is not a number",
                                     file.path.string(), key, found->second));
  }
  return value;
}

}  // namespace ebm
