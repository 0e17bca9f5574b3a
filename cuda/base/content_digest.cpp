#include "cuda/base/content_digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <new>

namespace ebm {
namespace {

Digest digest_from(XXH128_hash_t hash) {
  XXH128_canonical_t canonical{};
  XXH128_canonicalFromHash(&canonical, hash);
  Digest digest{};
  std::ranges::copy(canonical.digest, digest.begin());
  return digest;
}

}  // namespace

Digest digest_of(std::span<const std::byte> bytes) {
  return digest_from(XXH3_128bits(bytes.data(), bytes.size()));
}

Digest digest_of(std::span<const std::span<const std::byte>> pieces) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  if (state == nullptr) {
    throw std::bad_alloc();
  }
  XXH3_128bits_reset(state.get());
  for (const std::span<const std::byte> piece : pieces) {
    XXH3_128bits_update(state.get(), piece.data(), piece.size());
  }
  return digest_from(XXH3_128bits_digest(state.get()));
}

std::string to_text(const Digest& digest) { return fmt::format("{:02x}", fmt::join(digest, "")); }

}  // namespace ebm
