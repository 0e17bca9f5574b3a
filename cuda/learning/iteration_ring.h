// Numbers of iterations on their way from where they are computed to the host.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "cuda/device/array.h"
#include "cuda/learning/iteration_numbers.cuh"

namespace ebm {

/// One iteration, numbered from 1.
struct Iteration {
  std::int64_t number = 0;
  double learning_rate = 0;   ///< as recorded
  double optimizer_rate = 0;  ///< what θ's gradient is multiplied by
};

/// What came of it.
struct IterationResult : IterationNumbers {
  Iteration iteration{};
  double seconds = 0;  ///< that it took; an average over those that were read back together
  std::chrono::steady_clock::time_point ended;  ///< by such averages
};

/// The iterations that have been begun and not yet read. On the CPU each is there at once; a
/// device's are read back a few hundred at a time, and the host does not wait for one before.
class IterationRing {
 public:
  using Clock = std::chrono::steady_clock;

  explicit IterationRing(const Queue& queue);
  ~IterationRing();  // waits: the queue may have numbers on their way
  IterationRing(const IterationRing&) = delete;
  IterationRing& operator=(const IterationRing&) = delete;

  /// Forgets everything; no flag is raised.
  void reset();
  /// Room for the numbers of the next iteration, which began at a time, where the queue computes.
  /// Throws std::logic_error when read() is not called often enough.
  IterationNumbers* add(const Iteration& iteration, Clock::time_point begun);
  DivergedFlag diverged();

  /// The results, in order, that have not been read yet. With `all`, waits for those of all
  /// iterations begun; else what there is, but at least every few hundred iterations and seconds,
  /// and at once when the flag is raised: the result with the fault is the last. Valid until the
  /// next call.
  std::span<const IterationResult> read(bool all);
  /// Of the last read(): iterations that were begun after the one with the fault, or with it.
  std::int64_t begun_in_vain() const { return begun_in_vain_; }

 private:
  bool is_due() const;

  Queue queue_;
  Array<IterationNumbers> there_;
  PinnedArray<IterationNumbers> here_;
  Array<std::uint32_t> diverged_there_;
  PinnedArray<std::uint32_t> diverged_here_;
  std::size_t next_ = 0;
  std::deque<Iteration> unread_;
  Clock::time_point since_;  // the oldest of them began
  std::vector<IterationResult> results_;
  std::int64_t begun_in_vain_ = 0;
};

}  // namespace ebm
