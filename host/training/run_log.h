// What a run says while it runs: lines in log.txt and on the console, and a live line below them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace ebm {

/// Writes every line to a file and, unless quiet, to standard output. On a terminal a live line may
/// stand below the last log line. Any thread may log.
class RunLog {
 public:
  /// Throws OutputError when the file cannot be opened.
  RunLog(const std::filesystem::path& file, bool quiet);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void info(std::string_view line);
  /// Also shown when quiet.
  void warn(std::string_view line);
  /// Why the run ends early: for the file only, as the program says it on standard error.
  void failure(std::string_view line);

  /// True when live() shows anything: standard output is a terminal and the log is not quiet.
  bool is_live() const;
  /// Replaces the live line; an empty text takes it away.
  void live(std::string_view text);

 private:
  class ConsoleSink;

  std::shared_ptr<ConsoleSink> console_;
  std::shared_ptr<spdlog::logger> logger_;  // file and console
  std::shared_ptr<spdlog::logger> file_;
};

}  // namespace ebm
