#include "host/training/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ebm {

std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (auto place = std::ssize(digits) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

const std::string& Pace::text(std::int64_t done, double seconds, double busy, bool mark) {
  const auto since = static_cast<double>(done - marked_);
  if (since > 0 && busy > marked_busy_) {
    const double speed = since * steps_ / (busy - marked_busy_);
    const double left =
        seconds * static_cast<double>(total_ - done) / static_cast<double>(done - begun_);
    text_ = fmt::format("{} steps/s  {} left", grouped(std::llround(speed)), duration(left));
  }
  if (mark) {
    marked_ = done;
    marked_busy_ = busy;
  }
  return text_;
}

bool Pace::due() {
  constexpr std::chrono::milliseconds kBetween{200};
  const auto now = std::chrono::steady_clock::now();
  if (now - last_shown_ < kBetween) {
    return false;
  }
  last_shown_ = now;
  return true;
}

std::string Progress::line(const IterationRecord& record, bool mark) {
  return fmt::format("iteration {}/{}  d_s {:.4g}  r_s {:.4g}  lr {:.4g}  {}",
                     grouped(record.iteration), grouped(iterations_), record.d_s, record.r_s,
                     record.learning_rate,
                     pace_.text(record.iteration, record.seconds, record.busy_seconds, mark));
}

}  // namespace ebm
