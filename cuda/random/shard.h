// Which chains of a batch.
#pragma once

#include <cstdint>

namespace ebm {

/// Neighbouring chains of a batch, by their numbers in all of it. What chains draw depends on these
/// numbers, so a batch comes out the same however it is cut into shards.
struct Shard {
  Shard() = default;
  /// The whole of a batch.
  Shard(std::int64_t all) : count(all), total(all) {}  // NOLINT(google-explicit-constructor)
  Shard(std::int64_t first_chain, std::int64_t chains, std::int64_t of)
      : first(first_chain), count(chains), total(of) {}

  std::int64_t first = 0;
  std::int64_t count = 0;  ///< of the shard
  std::int64_t total = 0;  ///< of the batch
};

}  // namespace ebm
