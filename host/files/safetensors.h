// Named float arrays in one file, in the safetensors format of PyTorch users:
// https://huggingface.co/docs/safetensors. A file is a 64-bit little-endian length, a JSON header
// of that length, and the data that the header's offsets point into.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/base/atomic_file.h"

namespace ebm {

/// A named array in C order: the last index of `shape` varies fastest.
struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// A tensor whose values are somewhere else.
struct TensorView {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<const float> values;
};

using TensorMetadata = std::map<std::string, std::string>;

/// The content of a safetensors file.
struct TensorFile {
  std::vector<Tensor> tensors;      ///< in the order of their data
  TensorMetadata metadata;          ///< the header's `__metadata__`
  std::filesystem::path path = {};  ///< where it was read from, for messages

  /// The tensor of that name, or nullptr. Valid until `tensors` changes.
  const Tensor* find(std::string_view name) const;
  /// The same, but throws InputFileError naming file and tensor when there is none.
  const Tensor& at(std::string_view name) const;
};

/// Writes tensors (as F32, in the order given) and metadata. The data start at a multiple of 8
/// bytes. The file appears whole or not at all.
/// Throws OutputError; std::invalid_argument when a name repeats or is `__metadata__`, a shape is
/// not that of its values, or a text is not UTF-8.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const TensorMetadata& metadata, Existing existing = Existing::replaced);

/// The same for a file's content; `file.path` is ignored.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

/// Reads a file of F32, F16, BF16, U8 and BOOL tensors, and of F64 and I64, which are rounded to
/// float. Throws InputFileError naming the file and what is wrong with it: everything the header
/// says is checked against the file before anything is allocated for it, and the tensors must cover
/// the data exactly.
TensorFile read_safetensors(const std::filesystem::path& path);

}  // namespace ebm
