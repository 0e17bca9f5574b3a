#include "cuda/device/cublas_lt.h"

#include <stdexcept>

#include "cuda/device/cublas_lt_handle.h"
#ifndef EBM_EMULATED_CUDA
#include "cuda/device/cuda_library.h"
#endif

namespace ebm {
namespace {

#ifdef EBM_EMULATED_CUDA
void* function_named(const char* name) { return emulated_cuda::cublas_lt_function(name); }
#else
void* function_named(const char* name) {
  static const std::string file = "libcublasLt.so." + std::to_string(CUDART_VERSION / 1000);
  static void* const library = open_cuda_library(file);
  if (library == nullptr) {
    throw std::runtime_error(file + " was not found (" + dlerror() +
                             "); install it, or name its folder in LD_LIBRARY_PATH");
  }
  return dlsym(library, name);
}
#endif

template <class Function>
void find(const char* name, Function& function) {
  function = reinterpret_cast<Function>(function_named(name));
  if (function == nullptr) {
    throw std::runtime_error(std::string("this version of cuBLASLt lacks ") + name);
  }
}

CublasLt open() {
  CublasLt lt;
  find("cublasLtCreate", lt.create);
  find("cublasLtDestroy", lt.destroy);
  find("cublasLtGetVersion", lt.version);
  find("cublasLtGetStatusName", lt.status_name);
  find("cublasLtGetStatusString", lt.status_string);
  find("cublasLtMatrixLayoutCreate", lt.create_layout);
  find("cublasLtMatrixLayoutDestroy", lt.destroy_layout);
  find("cublasLtMatmulDescCreate", lt.create_matmul);
  find("cublasLtMatmulDescDestroy", lt.destroy_matmul);
  find("cublasLtMatmulDescSetAttribute", lt.set_matmul);
  find("cublasLtMatmulPreferenceCreate", lt.create_preference);
  find("cublasLtMatmulPreferenceDestroy", lt.destroy_preference);
  find("cublasLtMatmulPreferenceSetAttribute", lt.set_preference);
  find("cublasLtMatmulAlgoGetHeuristic", lt.find_algorithms);
  find("cublasLtMatmulAlgoCheck", lt.check_algorithm);
  find("cublasLtMatmulAlgoConfigGetAttribute", lt.get_configuration);
  find("cublasLtMatmul", lt.matmul);
  return lt;
}

/// What was found, or why it was not.
struct Opened {
  CublasLt functions{};
  std::string reason{};
};

const Opened& opened() {
  static const Opened result = [] {
    try {
      return Opened{.functions = open()};
    } catch (const std::runtime_error& error) {
      return Opened{.reason = error.what()};
    }
  }();
  return result;
}

cublasLtHandle_t create() {
  cublasLtHandle_t handle = nullptr;
  EBM_CHECK_CUBLAS_LT(cublas_lt().create(&handle));
  return handle;
}

}  // namespace

const CublasLt& cublas_lt() {
  if (!opened().reason.empty()) {
    throw CudaError("loading cuBLASLt", __FILE__, __LINE__, opened().reason);
  }
  return opened().functions;
}

std::string why_no_cublas_lt() { return opened().reason; }

std::size_t cublas_lt_version() { return cublas_lt().version(); }

CublasLtHandle::CublasLtHandle(const CudaStream& stream) : stream_(&stream), handle_(create()) {}

void CublasLtHandle::release(cublasLtContext* handle) {
  static_cast<void>(cublas_lt().destroy(handle));
}

}  // namespace ebm
