// What the state of a run must say for the run to go on: each part within its bounds.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "cuda/base/errors.h"
#include "host/files/metadata_number.h"
#include "host/files/safetensors.h"

namespace ebm {

/// A number of the metadata that must be there, within bounds. Throws InputFileError.
template <class Number>
Number state_number(const TensorFile& file, std::string_view key, Number low, Number high) {
  const std::optional<Number> value = metadata_number<Number>(file, key);
  if (!value || !(*value >= low && *value <= high)) {
    throw InputFileError(
        fmt::format("{}: is not the state of such a run: its metadata have no "
                    "'{}' from {} to {}",
                    file.path.string(), key, low, high));
  }
  return *value;
}

/// The values of a tensor that must have so many. Throws InputFileError.
inline std::span<const float> state_values(const TensorFile& file, std::string_view name,
                                           std::size_t count) {
  const std::vector<float>& found = file.at(name).values;
  if (found.size() != count) {
    throw InputFileError(fmt::format("{}: tensor '{}' has {} values, but this run's has {}",
                                     file.path.string(), name, found.size(), count));
  }
  return found;
}

/// A tensor of one dimension.
inline TensorView vector_of(std::string name, std::span<const float> values) {
  return {std::move(name), {static_cast<std::int64_t>(values.size())}, values};
}

}  // namespace ebm
