// Safetensors files that know their own content: a damaged one is told from a whole one.
#pragma once

#include <filesystem>
#include <span>

#include "host/files/safetensors.h"

namespace ebm {

/// As write_safetensors(), with a digest (XXH3, 128 bits) of all names, shapes, values and metadata
/// added to the metadata, as `xxh3_128`.
void write_checked_tensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                           TensorMetadata metadata);

/// Whether a file of another program, which has no digest, is taken as it is.
enum class DigestRule { if_present, required };

/// As read_safetensors(). Throws InputFileError too when the digest is missing against the rule, or
/// is not the content's. It is left out of the metadata returned.
TensorFile read_checked_tensors(const std::filesystem::path& path,
                                DigestRule rule = DigestRule::if_present);

}  // namespace ebm
