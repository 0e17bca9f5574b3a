#include "host/training/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/training/schedule.h"

namespace ebm {
namespace {

constexpr std::size_t kRecent = 15;  // numbers that a median is of
constexpr double kSecondsOfAMeasurement = 10;

}  // namespace

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

void RecentMedian::add(double value) {
  if (last_.size() < kRecent) {
    last_.push_back(value);
  } else {
    last_[next_] = value;
    next_ = (next_ + 1) % kRecent;
  }
}

/// Of two, the smaller: a pause only adds.
double RecentMedian::value() const {
  if (last_.empty()) {
    return 0;
  }
  std::vector<double> values = last_;
  const auto middle = values.begin() + (std::ssize(values) - 1) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

void Pace::add(std::int64_t done, double seconds) {
  done_ = done;
  seconds_ = seconds;
  if (done > measured_ && seconds - measured_seconds_ >= kSecondsOfAMeasurement) {
    recent_.add((seconds - measured_seconds_) / static_cast<double>(done - measured_));
    measured_ = done;
    measured_seconds_ = seconds;
  }
}

double Pace::seconds_each() const {
  const double recent = recent_.value();
  return recent > 0 || done_ == measured_
             ? recent
             : (seconds_ - measured_seconds_) / static_cast<double>(done_ - measured_);
}

const std::string& Pace::text(double busy, bool mark, double further) {
  const auto since = static_cast<double>(done_ - marked_);
  if (since > 0 && busy > marked_busy_) {
    const double speed = since * steps_ / (busy - marked_busy_);
    const double left = seconds_each() * static_cast<double>(total_ - done_) + further;
    text_ = fmt::format("{} steps/s  {} left", grouped(std::llround(speed)), duration(left));
  }
  if (mark) {
    marked_ = done_;
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

void Progress::add(const IterationRecord& record) {
  const double between =
      record.seconds - last_.seconds - (record.busy_seconds - last_.busy_seconds);
  const Due due = due_after(last_.iteration, config_);
  if (due.landscape || due.long_run) {
    set_aside_ += between;
  }
  if (due.landscape && begun_) {  // else another process has drawn it
    landscapes_.add(between);
  }
  begun_ = true;
  last_ = record;
  pace_.add(record.iteration, record.seconds - set_aside_);
}

double Progress::further_seconds() const {
  const double long_run = pace_.seconds_each() * config_.longrun.steps / config_.langevin.steps;
  return landscapes_.value() * static_cast<double>(landscapes_from(last_.iteration, config_)) +
         long_run * static_cast<double>(long_runs_from(last_.iteration, config_));
}

std::string Progress::line(bool mark) {
  return fmt::format("iteration {}/{}  d_s {:.4g}  r_s {:.4g}  lr {:.4g}  {}",
                     grouped(last_.iteration), grouped(config_.train.iterations), last_.d_s,
                     last_.r_s, last_.learning_rate,
                     pace_.text(last_.busy_seconds, mark, further_seconds()));
}

}  // namespace ebm
