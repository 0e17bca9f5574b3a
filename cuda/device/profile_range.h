// Names for what the host enqueues, shown by Nsight Systems above the work on the device. In builds
// with CUDA only.
#pragma once

#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include "cuda/device/cuda_status.h"

namespace ebm {

/// Names what is enqueued while it lives; may nest.
class ProfileRange {
 public:
  explicit ProfileRange(const char* name) { nvtxRangePushA(name); }
  ~ProfileRange() { nvtxRangePop(); }
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;
};

/// Turns on, or off, a profiler that was started to wait for that.
inline void set_profiling(bool on) {
  EBM_CHECK_CUDA(on ? cudaProfilerStart() : cudaProfilerStop());
}

}  // namespace ebm
