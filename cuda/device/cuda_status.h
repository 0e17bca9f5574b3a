// The status of calls to the CUDA runtime. In builds with CUDA only.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace ebm {

/// A call of one of CUDA's libraries failed: which, where, and what the library says.
class CudaError : public std::runtime_error {
 public:
  CudaError(const std::string& call, const char* file, int line, const std::string& message)
      : std::runtime_error(call + " failed at " + file + ":" + std::to_string(line) + ": " +
                           message) {}
};

/// Throws CudaError unless `status` is success.
inline void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status != cudaSuccess) {
    // Errors that do not outlive their call stay "the last error" until somebody looks.
    static_cast<void>(cudaGetLastError());
    throw CudaError(call, file, line,
                    std::string(cudaGetErrorName(status)) + ", " + cudaGetErrorString(status));
  }
}

}  // namespace ebm

#define EBM_CHECK_CUDA(call) ::ebm::check_cuda((call), #call, __FILE__, __LINE__)
