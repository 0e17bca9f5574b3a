#include "host/data/content_digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

namespace ebm {

Digest digest_of(std::span<const std::byte> bytes) {
  XXH128_canonical_t canonical{};
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Digest digest{};
  std::ranges::copy(canonical.digest, digest.begin());
  return digest;
}

std::string to_text(const Digest& digest) { return fmt::format("{:02x}", fmt::join(digest, "")); }

}  // namespace ebm
