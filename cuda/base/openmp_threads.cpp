#include "cuda/base/openmp_threads.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "cuda/base/machine_limits.h"

namespace ebm {
namespace {

/// Turns of GCC's waiting loop. Its own choice is 300,000, several milliseconds.
constexpr const char* kSpins = "10000";

}  // namespace

void set_up_openmp(char* const* argv) {
  if (std::getenv("OMP_WAIT_POLICY") == nullptr && std::getenv("GOMP_SPINCOUNT") == nullptr) {
    setenv("GOMP_SPINCOUNT", kSpins, 1);
    execv("/proc/self/exe", argv);  // returns where that is not possible; then it waits as ever
  }
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    const std::optional<double> quota = processor_quota();
    const int processors = omp_get_num_procs();
    omp_set_num_threads(quota ? std::clamp(static_cast<int>(std::ceil(*quota)), 1, processors)
                              : processors);
  }
}

}  // namespace ebm
