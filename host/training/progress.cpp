#include "host/training/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ebm {
namespace {

/// 1234567 -> "1,234,567".
std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (auto place = std::ssize(digits) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

}  // namespace

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string Progress::line(const IterationRecord& record, bool mark) {
  const std::int64_t done = record.iteration - marked_iteration_;
  const double elapsed = record.seconds - marked_seconds_;
  if (done > 0 && elapsed > 0) {
    const double rate = static_cast<double>(done) / elapsed;
    speed_ = fmt::format("{} steps/s  {} left", grouped(std::llround(rate * steps_)),
                         duration(static_cast<double>(iterations_ - record.iteration) / rate));
  }
  if (mark) {
    marked_iteration_ = record.iteration;
    marked_seconds_ = record.seconds;
  }
  return fmt::format("iteration {}/{}  d_s {:.4g}  r_s {:.4g}  lr {:.4g}  {}",
                     grouped(record.iteration), grouped(iterations_), record.d_s, record.r_s,
                     record.learning_rate, speed_);
}

bool Progress::due() {
  constexpr std::chrono::milliseconds kBetween{200};
  const auto now = std::chrono::steady_clock::now();
  if (now - last_shown_ < kBetween) {
    return false;
  }
  last_shown_ = now;
  return true;
}

}  // namespace ebm
