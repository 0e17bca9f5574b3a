// Signals that ask a program to stop in good order.
#pragma once

#include <functional>
#include <optional>

namespace ebm {

/// Seconds since the run was asked to stop; nothing while it was not.
using StopRequest = std::function<std::optional<double>()>;

/// A StopRequest of runs that go on to their end.
inline std::optional<double> never_asked_to_stop() { return std::nullopt; }

/// From now on SIGTERM, SIGINT, SIGUSR1 or SIGHUP, which a terminal sends as it is closed, asks to
/// stop. The first is only noted; the next ends the process at once. SIGHUP stays ignored where it
/// was, as by nohup.
void stop_on_signals();

/// A StopRequest: of the first such signal.
std::optional<double> seconds_since_signal();

/// "SIGTERM": the first such signal; "no signal" before.
const char* stopping_signal();

}  // namespace ebm
