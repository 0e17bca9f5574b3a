// The kinds of failure a user can act on, one exception each. Every program's main() turns them
// into its exit status; whoever can do without what failed catches them earlier.
#pragma once

#include <stdexcept>

namespace ebm {

/// Command line or configuration is wrong. Exit status 2.
struct ConfigurationError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// An input file (data set, checkpoint, array) is missing or malformed. Exit status 3.
struct InputFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A result could not be written (disk full, no permission). Exit status 1.
struct OutputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Training or sampling produced non-finite numbers. Exit status 4.
struct Divergence : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace ebm
