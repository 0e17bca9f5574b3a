// The functions of cuBLASLt that this program calls, found when the library is opened, and their
// status. In builds with CUDA only, and only for files that may wait for cublasLt.h.
#pragma once

#include <cublasLt.h>

#include <string>

#include "cuda/device/cuda_status.h"

namespace ebm {

/// cublasLtCreate is `create`, and so on.
struct CublasLt {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtGetStatusName) status_name = nullptr;
  decltype(&cublasLtGetStatusString) status_string = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_matmul = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_matmul = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_matmul = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find_algorithms = nullptr;
  decltype(&cublasLtMatmulAlgoCheck) check_algorithm = nullptr;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) get_configuration = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
};

/// Opens the library when it is first called. Throws CudaError, with why_no_cublas_lt().
const CublasLt& cublas_lt();

/// Throws CudaError unless `status` is success.
inline void check_cublas_lt(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw CudaError(
        call, file, line,
        std::string(cublas_lt().status_name(status)) + ", " + cublas_lt().status_string(status));
  }
}

}  // namespace ebm

#define EBM_CHECK_CUBLAS_LT(call) ::ebm::check_cublas_lt((call), #call, __FILE__, __LINE__)
