// Drawing with gnuplot beside the run, never in its way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace ebm {

/// Runs gnuplot on scripts, one after another, on a thread of its own. A plot that cannot be drawn
/// costs the run a warning, once, and nothing else.
///
/// A script DIR/NAME.gp is run in DIR, without the user's gnuplot start-up files, and draws one
/// picture: into the file named by its first argument (ARG1) or, when that is empty as in
/// `gnuplot NAME.gp` by hand, into NAME.png. The queue passes a temporary name and renames, so
/// DIR/NAME.png is always a whole picture.
class PlotQueue {
 public:
  /// Told, on the drawing thread, why a picture is missing. Must not throw.
  using Warn = std::function<void(const std::string& reason)>;

  /// `warn` hears of the first failure only. A gnuplot that runs longer than `timeout` is killed.
  explicit PlotQueue(Warn warn, std::chrono::milliseconds timeout = std::chrono::seconds(60));

  /// Draws what is still waiting, for no longer than `timeout` in all.
  ~PlotQueue();
  PlotQueue(const PlotQueue&) = delete;
  PlotQueue& operator=(const PlotQueue&) = delete;

  /// Queues a script, which must stay on disk, and returns at once. A script that is already
  /// waiting is drawn once.
  void draw(std::filesystem::path script);

 private:
  using Clock = std::chrono::steady_clock;

  void draw_waiting(const std::stop_token& stop);

  Warn warn_;
  std::chrono::milliseconds timeout_;
  std::mutex mutex_;  ///< of the next three
  std::condition_variable_any wake_;
  std::deque<std::filesystem::path> waiting_;
  Clock::time_point last_moment_ = Clock::time_point::max();  ///< nothing is drawn after it
  std::jthread worker_;  ///< last: joined before what it uses is gone
};

}  // namespace ebm
