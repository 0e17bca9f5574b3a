// Drawing distinct rows without replacement: row i of a draw is the image of i under a keyed
// bijection of {0 … N−1}, so it costs O(1), needs no shuffle and no memory, and any number of
// threads can ask for theirs.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

/// A pseudo-random permutation of {0 … count−1} for every (seed, purpose, iteration): a balanced
/// Feistel network (Luby and Rackoff, 1988) on the next even number of bits with Philox as its
/// round function, restricted to the range by cycle walking (Black and Rogaway, "Ciphers with
/// Arbitrary Finite Domains", CT-RSA 2002): fewer than four walks on average.
class DistinctRows {
 public:
  /// count: 1 … 2^31.
  EBM_HOST_DEVICE DistinctRows(const RandomStream& stream, std::uint32_t count)
      : stream_(stream), count_(count) {
    half_bits_ = 1;
    while ((std::uint64_t{1} << (2 * half_bits_)) < count) {
      ++half_bits_;
    }
  }

  /// The row that position i (< count) of the draw holds.
  EBM_HOST_DEVICE std::uint32_t operator()(std::uint32_t i) const {
    std::uint32_t row = i;
    do {
      row = permute(row);
    } while (row >= count_);
    return row;
  }

 private:
  static constexpr std::uint32_t kRounds = 8;

  EBM_HOST_DEVICE std::uint32_t permute(std::uint32_t value) const {
    const std::uint32_t mask = (std::uint32_t{1} << half_bits_) - 1U;
    std::uint32_t left = value >> half_bits_;
    std::uint32_t right = value & mask;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const std::uint32_t mixed = left ^ (stream_.words(round, right, 0).v[0] & mask);
      left = right;
      right = mixed;
    }
    return (left << half_bits_) | right;
  }

  RandomStream stream_;
  std::uint32_t count_;
  std::uint32_t half_bits_;
};

}  // namespace ebm
