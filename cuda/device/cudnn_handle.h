// cuDNN as this program uses it: loaded when first needed, working on one stream. In builds with
// cuDNN only.
#pragma once

#include <string>

#include "cuda/device/cuda_handle.h"
#include "cuda/device/cuda_stream.h"

struct cudnnContext;

namespace ebm {

/// Empty when cuDNN can be used; else why not, and what to do. It and the CUDA runtime it needs are
/// looked for where the system's loader looks (LD_LIBRARY_PATH, ldconfig), then where they were
/// when this was compiled. A program that does not find them starts and computes on the CPU.
std::string why_no_cudnn();

/// Of cuDNN and of cudnn_frontend, on which a compiled plan depends. cuDNN is loaded.
std::string cudnn_versions();

/// A handle of the current device.
class CudnnHandle {
 public:
  /// Everything run with the handle is enqueued on `stream`, which must outlive it.
  /// Throws CudaError, with why_no_cudnn() if that is the reason.
  explicit CudnnHandle(const CudaStream& stream);

  /// A cudnnHandle_t.
  cudnnContext* get() const { return handle_.get(); }
  const CudaStream& stream() const { return *stream_; }

 private:
  static void release(cudnnContext* handle);

  const CudaStream* stream_;
  CudaHandle<cudnnContext*, release> handle_;
};

}  // namespace ebm
