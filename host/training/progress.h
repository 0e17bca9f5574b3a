// How far a run is and how long it will take.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/grouped.h"  // IWYU pragma: export

namespace ebm {

/// What an iteration shows of the learning.
struct Diagnosis {
  double d_s = 0;            ///< energy difference
  double r_s = 0;            ///< gradient strength
  double learning_rate = 0;  ///< of this iteration's step, before SGD's ε²/2
  double mean_f_data = 0;
  double mean_f_samples = 0;
};

/// One iteration's record: a line of diagnostics.csv, and when.
struct IterationRecord : Diagnosis {
  std::int64_t iteration = 0;  ///< from 1
  double seconds = 0;          ///< since the process began the run, or went on with it
  double busy_seconds = 0;     ///< the part of them spent sampling and learning, not reporting
};

/// The median of the last few numbers: one that is far off does not move it, and what has changed
/// for good is seen after half of them.
class RecentMedian {
 public:
  void add(double value);
  /// 0 where there are none.
  double value() const;

 private:
  std::vector<double> last_;
  std::size_t next_ = 0;
};

/// Speed and time left of a long job, and when to show them.
class Pace {
 public:
  /// `total` items of `steps` steps each, of which `done` have been done by others.
  Pace(std::int64_t total, int steps, std::int64_t done = 0)
      : total_(total), steps_(steps), done_(done), measured_(done), marked_(done) {}

  /// So many items are done, after so many seconds. To be told often.
  void add(std::int64_t done, double seconds);

  /// Seconds an item takes, by the last few minutes, or items if they take longer than ten seconds;
  /// 0 at first. A pause of any length, as of a stopped process, does not count.
  double seconds_each() const;

  /// "41,000 steps/s  1:23 left"; "" at first. Speed is that of the `busy` part of the seconds
  /// since the last call with `mark`; `further` seconds are to come besides those of the items.
  const std::string& text(double busy, bool mark, double further = 0);

  /// At most a few times a second: whether the live line is due.
  bool due();

 private:
  std::int64_t total_;
  int steps_;
  std::int64_t done_;
  double seconds_ = 0;
  std::int64_t measured_;  // items that recent_ knows of
  double measured_seconds_ = 0;
  RecentMedian recent_;
  std::int64_t marked_;
  double marked_busy_ = 0;
  std::string text_;
  std::chrono::steady_clock::time_point last_shown_{};
};

/// Describes iterations in one line each, for the live line and the log.
class Progress {
 public:
  /// Langevin steps are counted as steps of the whole batch. `done`: iterations of other processes.
  /// The configuration is borrowed.
  Progress(const TrainConfig& config, std::int64_t done)
      : config_(config), pace_(config.train.iterations, config.langevin.steps, done) {
    last_.iteration = done;
  }

  /// The next iteration.
  void add(const IterationRecord& record);

  /// "iteration 1,200/2,000  d_s -0.031  r_s 0.0712  lr 0.1  41,000 steps/s  1:23 left", of the
  /// last iteration. Speed is that since the last call with `mark`. Time left is told from recent
  /// iterations and what is written between them; long runs to come count as the iterations that
  /// have as many steps, and landscapes as the last few, but not before the first of this process.
  std::string line(bool mark);

  /// As Pace's.
  bool due() { return pace_.due(); }

 private:
  double further_seconds() const;

  const TrainConfig& config_;
  Pace pace_;
  RecentMedian landscapes_;  // seconds of each
  double set_aside_ = 0;     // seconds of landscapes and long runs
  bool begun_ = false;
  IterationRecord last_;
};

/// 75 -> "1:15", 3675 -> "1:01:15".
std::string duration(double seconds);

}  // namespace ebm
