// Names for what the host gives a device to do, shown by Nsight Systems above the work there.
// Nothing in builds without CUDA.
#pragma once

#ifdef EBM_CUDA
#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include "cuda/device/cuda_status.h"
#endif

namespace ebm {

/// Names what is given to a device while it lives; may nest.
class ProfileRange {
 public:
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;

#ifdef EBM_CUDA
  explicit ProfileRange(const char* name) { nvtxRangePushA(name); }
  ~ProfileRange() { nvtxRangePop(); }
  /// Another name from here on.
  void next(const char* name) {
    nvtxRangePop();
    nvtxRangePushA(name);
  }
#else
  explicit ProfileRange(const char* /*name*/) {}
  ~ProfileRange() {}  // NOLINT(modernize-use-equals-default): a scope's, not an unused variable
  void next(const char* /*name*/) {}
#endif
};

/// Turns on, or off, a profiler of the device that was started to wait for that.
#ifdef EBM_CUDA
inline void set_profiling(bool on) {
  EBM_CHECK_CUDA(on ? cudaProfilerStart() : cudaProfilerStop());
}
#else
inline void set_profiling(bool /*on*/) {}
#endif

}  // namespace ebm
