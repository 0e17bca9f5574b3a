// Digests that tell contents apart. Fast, and no defence against somebody who makes two contents
// with one digest on purpose.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace ebm {

/// XXH3 with 128 bits.
using Digest = std::array<unsigned char, 16>;

Digest digest_of(std::span<const std::byte> bytes);

/// The digest of the pieces, one after another.
Digest digest_of(std::span<const std::span<const std::byte>> pieces);

/// As 32 hexadecimal digits.
std::string to_text(const Digest& digest);

}  // namespace ebm
