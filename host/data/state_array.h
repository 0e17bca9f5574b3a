// Arrays of states in .npy files, as NumPy users keep them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "cuda/nn/network.h"

namespace ebm {

/// States one after another.
struct StateArray {
  std::vector<std::int64_t> shape;  ///< (N, channels, height, width), or (N, channels) for points
  std::vector<float> states;

  std::int64_t count() const { return shape.front(); }
};

/// Reads the states of a network that takes `state`. Floats are states as they are, of that shape;
/// points in the plane may be (N, 2). 8-bit levels are pictures of any size, (N, height, width),
/// (N, height, width, channels) or (N, channels, height, width) with 1 or 3 channels, which are
/// prepared as prepare_images() does.
///
/// Throws InputFileError when the file is malformed or its array has another shape.
StateArray read_state_array(const std::filesystem::path& path, const Shape& state);

}  // namespace ebm
