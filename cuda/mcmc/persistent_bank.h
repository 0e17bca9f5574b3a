// The persistent bank: where chains are kept between iterations (Tieleman, "Training Restricted
// Boltzmann Machines Using Approximations to the Likelihood Gradient", ICML 2008).
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/buffer.h"
#include "cuda/random/philox.cuh"

namespace ebm {

/// A table of states, U(−1, 1) at the start. Owns them.
class PersistentBank {
 public:
  PersistentBank(std::uint64_t seed, std::int64_t rows, std::int64_t state_size);

  /// Goes on from these states, rows × state size, which a bank of this size had.
  void restore(std::span<const float> states);
  /// Draws from now on as a bank of this seed.
  void reseed(std::uint64_t seed) { seed_ = seed; }

  std::int64_t rows() const { return std::ssize(states_.span()) / state_size_; }
  /// rows × state size.
  std::span<const float> states() const { return states_.span(); }
  /// The same, for whoever keeps the bank elsewhere to write back.
  std::span<float> states() { return states_.span(); }

  /// Fills `states` with as many distinct rows, and remembers which. At most rows() of them.
  void draw(std::uint32_t iteration, std::span<float> states);
  /// Overwrites the rows that the last draw() took. Takes as many states.
  void put(std::span<const float> states);
  /// Like draw(), from the stream of another use, and forgotten at once: for diagnostics.
  void peek(Purpose rows, std::uint32_t iteration, std::span<float> states) const;

 private:
  void copy_rows(Purpose purpose, std::uint32_t iteration, std::span<std::uint32_t> rows,
                 std::span<float> states) const;

  std::uint64_t seed_;
  std::int64_t state_size_;
  Buffer<float> states_;
  Buffer<std::uint32_t> drawn_;
};

}  // namespace ebm
