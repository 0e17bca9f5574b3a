// The status of calls to cuDNN, by way of cudnn_frontend. In builds with CUDA only, and only for
// files that may wait for cudnn_frontend.
#pragma once

#include <cudnn_frontend.h>

#include "cuda/device/cuda_status.h"

namespace ebm {

/// Throws CudaError unless `status` is success.
inline void check_cudnn(cudnn_frontend::error_t status, const char* call, const char* file,
                        int line) {
  if (status.is_bad()) {
    throw CudaError(call, file, line, status.get_message());
  }
}

inline void check_cudnn(cudnnStatus_t status, const char* call, const char* file, int line) {
  if (status != CUDNN_STATUS_SUCCESS) {
    throw CudaError(call, file, line, cudnn_frontend::detail::get_error_string(status));
  }
}

}  // namespace ebm

#define EBM_CHECK_CUDNN(call) ::ebm::check_cudnn((call), #call, __FILE__, __LINE__)
