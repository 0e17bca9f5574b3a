// Drawing with gnuplot beside the run, never in its way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

namespace ebm {

/// Draws a script DIR/NAME.gp into DIR/NAME.png and DIR/NAME.pdf, and waits for them. Returns
/// nothing, or why one is missing; an older one stays then. A gnuplot still at work at the deadline
/// is killed.
///
/// The script is run in DIR, once for each picture and without the user's gnuplot start-up files.
/// It draws into the file named by its first argument (ARG1), as PDF where that ends in .pdf and as
/// PNG otherwise; without an argument, as in `gnuplot NAME.gp` by hand, into NAME.png. It is given
/// a temporary name, and the result renamed: a picture is always whole.
std::optional<std::string> draw_plot(const std::filesystem::path& script,
                                     std::chrono::steady_clock::time_point deadline);

/// Draws scripts as draw_plot() does, one after another, on a thread of its own. A plot that cannot
/// be drawn costs the run a warning, once, and nothing else.
class PlotQueue {
 public:
  /// Told, on the drawing thread, why a picture is missing. Must not throw.
  using Warn = std::function<void(const std::string& reason)>;

  /// `warn` hears of the first failure only. A script that takes longer than `timeout` is given up.
  explicit PlotQueue(Warn warn, std::chrono::milliseconds timeout = std::chrono::seconds(60));

  ~PlotQueue() { finish(); }
  PlotQueue(const PlotQueue&) = delete;
  PlotQueue& operator=(const PlotQueue&) = delete;

  /// Queues a script, which must stay on disk, and returns at once. A script that is already
  /// waiting is drawn once.
  void draw(std::filesystem::path script);

  /// Draws what is still waiting, for no longer than `timeout` in all. Nothing is drawn afterwards.
  void finish();

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
