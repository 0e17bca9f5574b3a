// cuDNN as this program uses it: loaded when first needed, working on one stream. In builds with
// CUDA only.
#pragma once

#include <cudnn_graph.h>

#include <string>

#include "cuda/device/cuda_handle.h"
#include "cuda/device/cuda_stream.h"

namespace ebm {

/// Empty when cuDNN can be used; else why not, and what to do. The library is looked for where the
/// system's loader looks (LD_LIBRARY_PATH, ldconfig), then where it was when this was compiled. A
/// program without it starts and computes on the CPU.
std::string why_no_cudnn();

/// A handle of the current device.
class CudnnHandle {
 public:
  /// Everything run with the handle is enqueued on `stream`, which must outlive it.
  /// Throws CudaError, with why_no_cudnn() if that is the reason.
  explicit CudnnHandle(const CudaStream& stream);

  cudnnHandle_t get() const { return handle_.get(); }
  const CudaStream& stream() const { return *stream_; }

 private:
  const CudaStream* stream_;
  CudaHandle<cudnnHandle_t, cudnnDestroy> handle_;
};

}  // namespace ebm
