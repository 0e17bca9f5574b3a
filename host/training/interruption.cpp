#include "host/training/interruption.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace ebm {
namespace {

constexpr std::array kSignals{SIGTERM, SIGINT, SIGUSR1, SIGHUP};
constexpr double kNanosecond = 1e-9;

std::atomic<std::int64_t> g_asked_at{0};  // nanoseconds of the monotonic clock; 0: never
std::atomic<int> g_signal{0};
std::atomic<bool> g_goes_on_without_terminal{false};
static_assert(decltype(g_asked_at)::is_always_lock_free &&
                  decltype(g_signal)::is_always_lock_free &&
                  decltype(g_goes_on_without_terminal)::is_always_lock_free,
              "only lock-free atomics may be used in a signal handler");

std::int64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

extern "C" void note_signal(int signal) {
  g_signal = signal;
  g_asked_at = now();
  for (const int other : kSignals) {
    if (other != SIGHUP || !g_goes_on_without_terminal) {
      std::signal(other, SIG_DFL);
    }
  }
}

}  // namespace

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;  // no system call fails because of it
  sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) {
    sigaddset(&action.sa_mask, signal);  // the second waits until the first is noted
  }
  struct sigaction before {};
  ::sigaction(SIGHUP, nullptr, &before);
  g_goes_on_without_terminal = before.sa_handler == SIG_IGN;
  for (const int signal : kSignals) {
    if (signal != SIGHUP || !g_goes_on_without_terminal) {
      ::sigaction(signal, &action, nullptr);
    }
  }
}

std::optional<double> seconds_since_signal() {
  const std::int64_t asked_at = g_asked_at;
  return asked_at == 0 ? std::nullopt
                       : std::optional(static_cast<double>(now() - asked_at) * kNanosecond);
}

const char* stopping_signal() {
  switch (g_signal) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "no signal";
  }
}

}  // namespace ebm
