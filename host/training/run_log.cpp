#include "host/training/run_log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "cuda/base/errors.h"

namespace ebm {

/// Standard output, with the live line kept below what is logged.
class RunLog::ConsoleSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit ConsoleSink(bool quiet) : is_live_(!quiet && isatty(STDOUT_FILENO) == 1) {
    set_level(quiet ? spdlog::level::warn : spdlog::level::info);
    set_pattern("%v");
  }

  bool is_live() const { return is_live_; }

  void live(std::string_view text) {
    const std::lock_guard lock(mutex_);
    erase();
    text_ = text;
    draw();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    erase();
    if (message.level >= spdlog::level::warn) {
      std::fputs("warning: ", stdout);
    }
    std::fwrite(line.data(), 1, line.size(), stdout);
    draw();
  }
  void flush_() override { std::fflush(stdout); }

 private:
  void erase() {
    if (is_live_ && !text_.empty()) {
      std::fputs("\r\033[K", stdout);
    }
  }
  void draw() {
    if (is_live_) {
      std::fputs(text_.c_str(), stdout);
    }
    std::fflush(stdout);
  }

  bool is_live_;
  std::string text_;
};

RunLog::RunLog(const std::filesystem::path& file, bool quiet)
    : console_(std::make_shared<ConsoleSink>(quiet)) {
  std::shared_ptr<spdlog::sinks::basic_file_sink_mt> to_file;
  try {
    to_file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
  } catch (const spdlog::spdlog_ex& error) {
    throw OutputError(fmt::format("cannot write {}: {}", file.string(), error.what()));
  }
  to_file->set_pattern("%Y-%m-%d %H:%M:%S %^%l%$: %v");
  logger_ = std::make_shared<spdlog::logger>("run", spdlog::sinks_init_list{console_, to_file});
  logger_->flush_on(spdlog::level::info);
  file_ = std::make_shared<spdlog::logger>("file", to_file);
  file_->flush_on(spdlog::level::info);
}

RunLog::~RunLog() { live({}); }

void RunLog::info(std::string_view line) { logger_->info("{}", line); }
void RunLog::warn(std::string_view line) { logger_->warn("{}", line); }
void RunLog::failure(std::string_view line) { file_->error("{}", line); }
bool RunLog::is_live() const { return console_->is_live(); }
void RunLog::live(std::string_view text) { console_->live(text); }

}  // namespace ebm
