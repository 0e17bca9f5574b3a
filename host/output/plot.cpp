#include "host/output/plot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>
#include <system_error>
#include <utility>

namespace ebm {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// A process id, or the errno of why there is none.
struct Started {
  pid_t id = 0;
  int error = 0;
};

/// Starts `gnuplot -d -c SCRIPT PICTURE` in the script's folder, silent, in a process group of its
/// own so that a Ctrl-C meant for the run does not reach it.
Started start_gnuplot(const fs::path& script, const std::string& picture) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const fs::path folder = script.has_parent_path() ? script.parent_path() : fs::path(".");
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);

  std::array<std::string, 5> words = {"gnuplot", "-d", "-c", script.filename().string(), picture};
  std::array<char*, 6> arguments{};
  std::transform(words.begin(), words.end(), arguments.begin(), [](auto& w) { return w.data(); });
  Started started;
  started.error =
      posix_spawnp(&started.id, words[0].c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return started;
}

/// Waits for a child; at the deadline kills it and its process group. The wait status, if it ended
/// by itself.
std::optional<int> wait_until(pid_t id, Clock::time_point deadline) {
  constexpr auto kPoll = std::chrono::milliseconds(5);
  int status = 0;
  while (waitpid(id, &status, WNOHANG) == 0) {
    if (Clock::now() >= deadline) {
      kill(-id, SIGKILL);
      waitpid(id, &status, 0);
      return std::nullopt;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return status;
}

/// Draws one picture, NAME`extension`. Why there is none, or nothing.
std::optional<std::string> draw_picture(const fs::path& script, const char* extension,
                                        Clock::time_point deadline) {
  const fs::path picture = fs::path(script).replace_extension(extension);
  const fs::path unfinished = fs::path(script).replace_extension(std::string(".part") + extension);
  const Started gnuplot = start_gnuplot(script, unfinished.filename().string());
  if (gnuplot.error != 0) {
    return fmt::format("cannot start gnuplot for {}: {}. Is gnuplot installed?", script.string(),
                       std::generic_category().message(gnuplot.error));
  }
  const std::optional<int> status = wait_until(gnuplot.id, deadline);
  std::error_code error;
  if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) {
    fs::rename(unfinished, picture, error);
    if (!error) return std::nullopt;
    return fmt::format("cannot put {} in its place: {}", picture.string(), error.message());
  }
  fs::remove(unfinished, error);  // there may be none
  return fmt::format("gnuplot {} on {}; `gnuplot -c {} {}` in its folder shows why",
                     status ? "failed" : "took too long", script.string(),
                     script.filename().string(), picture.filename().string());
}

}  // namespace

std::optional<std::string> draw_plot(const fs::path& script, Clock::time_point deadline) {
  for (const char* extension : {".png", ".pdf"}) {
    if (auto failure = draw_picture(script, extension, deadline)) return failure;
  }
  return std::nullopt;
}

PlotQueue::PlotQueue(Warn warn, std::chrono::milliseconds timeout)
    : warn_(std::move(warn)),
      timeout_(timeout),
      worker_([this](const std::stop_token& stop) { draw_waiting(stop); }) {}

void PlotQueue::finish() {
  {
    const std::scoped_lock lock(mutex_);
    last_moment_ = std::min(last_moment_, Clock::now() + timeout_);
  }
  worker_.request_stop();
  if (worker_.joinable()) {
    worker_.join();
  }
}

void PlotQueue::draw(std::filesystem::path script) {
  {
    const std::scoped_lock lock(mutex_);
    if (std::find(waiting_.begin(), waiting_.end(), script) != waiting_.end()) return;
    waiting_.push_back(std::move(script));
  }
  wake_.notify_one();
}

void PlotQueue::draw_waiting(const std::stop_token& stop) {
  bool warned = false;
  std::unique_lock lock(mutex_);
  // A stop request ends the wait, and the loop once nothing is waiting.
  while (wake_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
    const fs::path script = std::move(waiting_.front());
    waiting_.pop_front();
    const auto deadline = std::min(Clock::now() + timeout_, last_moment_);
    lock.unlock();
    const auto failure = draw_plot(script, deadline);
    if (failure && !warned) {
      warned = true;
      warn_(*failure);
    }
    lock.lock();
  }
}

}  // namespace ebm
