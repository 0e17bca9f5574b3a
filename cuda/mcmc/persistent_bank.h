// The persistent bank: where chains are kept between iterations (Tieleman, "Training Restricted
// Boltzmann Machines Using Approximations to the Likelihood Gradient", ICML 2008).
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/array.h"
#include "cuda/random/philox.cuh"
#include "cuda/random/shard.h"

namespace ebm {

/// The states of a bank before the first iteration, U(−1, 1).
Buffer<float> initial_bank(std::uint64_t seed, std::int64_t rows, std::int64_t state_size);

/// A table of states, where a queue computes.
class PersistentBank {
 public:
  /// `states` are the host's, rows × state size, and borrowed; a device works on a copy.
  PersistentBank(const Queue& queue, std::uint64_t seed, std::span<float> states,
                 std::int64_t state_size);

  std::int64_t rows() const { return std::ssize(states_) / state_size_; }

  /// Draws distinct rows for a batch, at most rows() of them, and remembers which; fills `states`
  /// with the shard's.
  void draw(std::uint32_t iteration, const Shard& shard, float* states);
  /// Overwrites the rows that the last draw() took for all of the batch. Nothing happens where
  /// `stopped` is not null and what it points to is not 0 by then.
  void put(const float* states, const std::uint32_t* stopped = nullptr);
  /// Like draw(), from the stream of another use, and forgotten at once: for diagnostics.
  void peek(Purpose rows, std::uint32_t iteration, const Shard& shard, float* states);

  /// Gives the queue the work to bring the host's states up to date.
  void read_back() const { states_.read_back(queue_); }

 private:
  void copy_rows(Purpose purpose, std::uint32_t iteration, const Shard& shard,
                 Array<std::uint32_t>& rows, float* states);

  Queue queue_;
  std::uint64_t seed_;
  std::int64_t state_size_;
  Mirror<float> states_;
  Array<std::uint32_t> drawn_;
};

}  // namespace ebm
