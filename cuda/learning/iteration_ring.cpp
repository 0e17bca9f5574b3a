#include "cuda/learning/iteration_ring.h"

#include <exception>
#include <stdexcept>

namespace ebm {
namespace {

/// Iterations whose numbers a device keeps before they are read back.
constexpr std::size_t kKept = 512;
/// And the seconds after which they are.
constexpr double kSecondsBetweenReads = 1;

}  // namespace

IterationRing::IterationRing(const Queue& queue)
    : queue_(queue),
      there_(queue, kKept),
      here_(queue, kKept),
      diverged_there_(queue, 1),
      diverged_here_(queue, 1) {
  results_.reserve(kKept);
  clear(queue_, kKept, there_.data());  // all are read back, also what has not come yet
}

IterationRing::~IterationRing() {
  try {
    queue_.wait();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): has been thrown, or will be
  }
}

void IterationRing::reset() {
  clear(queue_, 1, diverged_there_.data());
  queue_.wait();
  *diverged_here_.data() = 0;
  unread_.clear();
}

DivergedFlag IterationRing::diverged() { return {diverged_there_.data(), diverged_here_.data()}; }

IterationNumbers* IterationRing::add(const Iteration& iteration, Clock::time_point begun) {
  if (unread_.size() == kKept) {
    throw std::logic_error("IterationRing: read() must be called after every iteration");
  }
  if (unread_.empty()) {
    since_ = begun;
  }
  unread_.push_back(iteration);
  IterationNumbers* const room = there_.data() + next_;
  next_ = (next_ + 1) % kKept;
  return room;
}

bool IterationRing::is_due() const {
  const auto* const raised = static_cast<const volatile std::uint32_t*>(diverged_here_.data());
  const std::chrono::duration<double> waited = Clock::now() - since_;
  return queue_.on_cpu() || *raised != 0 || unread_.size() >= kKept / 2 ||
         waited.count() >= kSecondsBetweenReads;
}

std::span<const IterationResult> IterationRing::read(bool all) {
  results_.clear();
  if (unread_.empty() || !(all || is_due())) {
    return {};
  }
  copy(queue_, there_.data(), kKept, here_.data());
  queue_.wait();
  const std::chrono::duration<double> seconds = Clock::now() - since_;
  const auto each = seconds / static_cast<double>(unread_.size());
  auto ended = since_;
  std::size_t at = (next_ + kKept - unread_.size()) % kKept;
  begun_in_vain_ = 0;
  for (const Iteration& iteration : unread_) {
    const IterationNumbers& numbers = here_.data()[at];
    ended += std::chrono::duration_cast<Clock::duration>(each);
    if (begun_in_vain_ > 0 || numbers.fault != Fault::none) {
      ++begun_in_vain_;
    }
    if (begun_in_vain_ <= 1) {
      results_.push_back({numbers, iteration, each.count(), ended});
    }
    at = (at + 1) % kKept;
  }
  unread_.clear();
  return results_;
}

}  // namespace ebm
