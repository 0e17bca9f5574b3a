// How many threads OpenMP uses, and how they wait for each other.
#pragma once

namespace ebm {

/// To be called first in main(), with its argv. What the environment says of OpenMP stays as it is;
/// otherwise:
///
/// - There are as many threads as processors that the process may run on (its affinity), and no
///   more than its control groups' quota, rounded up.
/// - A thread that waits for others spins for a tenth of a millisecond or so, and then sleeps: on
///   processors that are shared, one that spins takes the time of those it waits for. GCC's runtime
///   reads how long (GOMP_SPINCOUNT) when it is loaded, before main(), so the program starts itself
///   anew, as the same process, with that in the environment.
void set_up_openmp(char* const* argv);

}  // namespace ebm
