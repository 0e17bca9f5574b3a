// The non-local block on a CUDA device: see layers/nonlocal.h. In builds with CUDA only.
#pragma once

#include "cuda/nn/gpu/gpu_operation.h"

namespace ebm {

extern const GpuFactory kGpuNonlocal;
GpuBytes gpu_nonlocal_bytes(const Operation& operation, int images, Precision precision);

}  // namespace ebm
