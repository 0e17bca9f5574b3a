// The status of calls to cuBLAS. In builds with CUDA only.
#pragma once

#include <cublas_v2.h>

#include <string>

#include "cuda/device/cuda_status.h"

namespace ebm {

/// Throws CudaError unless `status` is success.
inline void check_cublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw CudaError(
        call, file, line,
        std::string(cublasGetStatusName(status)) + ", " + cublasGetStatusString(status));
  }
}

}  // namespace ebm

#define EBM_CHECK_CUBLAS(call) ::ebm::check_cublas((call), #call, __FILE__, __LINE__)
