// cuBLASLt as this program uses it: loaded when first needed, working on one stream. In builds with
// CUDA only.
#pragma once

#include <cstddef>
#include <string>

#include "cuda/device/cuda_handle.h"
#include "cuda/device/cuda_stream.h"

struct cublasLtContext;

namespace ebm {

/// Empty when cuBLASLt can be used; else why not, and what to do. It is looked for where the
/// system's loader looks (LD_LIBRARY_PATH, ldconfig), then where it was when this was compiled.
std::string why_no_cublas_lt();

/// Of the library that is loaded: 130100 is 13.1.0. An algorithm is known to one version only.
/// Throws CudaError, with why_no_cublas_lt() if that is the reason.
std::size_t cublas_lt_version();

/// A handle of the current device.
class CublasLtHandle {
 public:
  /// Everything run with the handle is enqueued on `stream`, which must outlive it.
  /// Throws CudaError, with why_no_cublas_lt() if that is the reason.
  explicit CublasLtHandle(const CudaStream& stream);

  /// A cublasLtHandle_t.
  cublasLtContext* get() const { return handle_.get(); }
  const CudaStream& stream() const { return *stream_; }

 private:
  static void release(cublasLtContext* handle);

  const CudaStream* stream_;
  CudaHandle<cublasLtContext*, release> handle_;
};

}  // namespace ebm
