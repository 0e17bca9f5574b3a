// How far a run is and how long it will take.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "host/training/run_log.h"

namespace ebm {

/// What an iteration shows of the learning.
struct Diagnosis {
  double d_s = 0;            ///< energy difference
  double r_s = 0;            ///< gradient strength
  double learning_rate = 0;  ///< of this iteration's step, before SGD's ε²/2
};

/// One iteration's record: a line of diagnostics.csv, and when.
struct IterationRecord : Diagnosis {
  std::int64_t iteration = 0;  ///< from 1
  double seconds = 0;          ///< since the process began the run, or went on with it
  double busy_seconds = 0;     ///< the part of them spent sampling and learning, not reporting
};

/// Speed and time left of a long job, and when to show them.
class Pace {
 public:
  /// `total` items of `steps` steps each, of which `done` have been done by others.
  Pace(std::int64_t total, int steps, std::int64_t done = 0)
      : total_(total), steps_(steps), begun_(done), marked_(done) {}

  /// "41,000 steps/s  1:23 left"; "" at first. Speed is that of the `busy` part of the seconds
  /// since the last call with `mark`; time left goes by all seconds since the start.
  const std::string& text(std::int64_t done, double seconds, double busy, bool mark);

  /// At most a few times a second: whether the live line is due.
  bool due();

 private:
  std::int64_t total_;
  int steps_;
  std::int64_t begun_;
  std::int64_t marked_;
  double marked_busy_ = 0;
  std::string text_;
  std::chrono::steady_clock::time_point last_shown_{};
};

/// Describes iterations in one line each, for the live line and the log.
class Progress {
 public:
  /// Langevin steps are counted as steps of the whole batch. `done`: iterations of other processes.
  Progress(std::int64_t iterations, int steps_per_iteration, std::int64_t done = 0)
      : iterations_(iterations), pace_(iterations, steps_per_iteration, done) {}

  /// "iteration 1,200/2,000  d_s -0.031  r_s 0.0712  lr 0.1  41,000 steps/s  1:23 left". Speed is
  /// that since the last call with `mark`.
  std::string line(const IterationRecord& record, bool mark);

  /// As Pace's.
  bool due() { return pace_.due(); }

 private:
  std::int64_t iterations_;
  Pace pace_;
};

/// 1234567 -> "1,234,567".
std::string grouped(std::int64_t value);

/// 75 -> "1:15", 3675 -> "1:01:15".
std::string duration(double seconds);

}  // namespace ebm
