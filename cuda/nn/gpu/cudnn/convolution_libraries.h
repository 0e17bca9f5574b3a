// The libraries that convolve, working on one stream. In builds with cuDNN only.
#pragma once

#include <optional>

#include "cuda/device/cublas_lt_handle.h"
#include "cuda/device/cudnn_handle.h"

namespace ebm {

struct ConvolutionLibraries {
  /// Throws CudaError where cuDNN cannot be used. The stream must outlive this.
  explicit ConvolutionLibraries(const CudaStream& stream) : cudnn(stream) {
    if (why_no_cublas_lt().empty()) {
      cublas_lt.emplace(stream);
    }
  }

  CudnnHandle cudnn;
  std::optional<CublasLtHandle> cublas_lt;  ///< none where there is no such library
};

}  // namespace ebm
