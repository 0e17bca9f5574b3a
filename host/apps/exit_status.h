// The one place where failures become exit statuses.
#pragma once

#include <functional>

namespace ebm {

/// The status of a run that a signal stopped after saving its state: sysexits.h calls it a
/// temporary failure, and invites to try again.
inline constexpr int kStopped = 75;

/// Runs a program's body, with OpenMP set up, and returns its exit status: 0 done; 1 failure while
/// running; 2 command line or configuration; 3 an input file is missing or wrong; 4 training or
/// sampling diverged. The reason goes to standard error, after the program's name.
int run_program(const char* name, char* const* argv, const std::function<int()>& body);

}  // namespace ebm
