// The emulated cuBLASLt's functions by their names, and its objects.

#include "cublas_lt.h"

#include <cstring>
#include <map>
#include <mutex>
#include <string_view>

#include "runtime.h"

namespace emulated_cuda {
namespace {

template <class T>
cublasStatus_t read(T& to, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(&to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t destroy(T* object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

void* cublas_lt_function(const char* name) {
#define NAMED(function) \
  { #function, reinterpret_cast < void*>(&(function)) }
  static const std::map<std::string_view, void*> functions = {
      NAMED(cublasLtCreate),
      NAMED(cublasLtDestroy),
      NAMED(cublasLtGetVersion),
      NAMED(cublasLtGetStatusName),
      NAMED(cublasLtGetStatusString),
      NAMED(cublasLtMatrixLayoutCreate),
      NAMED(cublasLtMatrixLayoutDestroy),
      NAMED(cublasLtMatmulDescCreate),
      NAMED(cublasLtMatmulDescDestroy),
      NAMED(cublasLtMatmulDescSetAttribute),
      NAMED(cublasLtMatmulPreferenceCreate),
      NAMED(cublasLtMatmulPreferenceDestroy),
      NAMED(cublasLtMatmulPreferenceSetAttribute),
      NAMED(cublasLtMatmulAlgoGetHeuristic),
      NAMED(cublasLtMatmulAlgoCheck),
      NAMED(cublasLtMatmulAlgoConfigGetAttribute),
      NAMED(cublasLtMatmul),
  };
#undef NAMED
  const auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}

}  // namespace emulated_cuda

using namespace emulated_cuda;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  const std::scoped_lock lock(device_mutex());
  if (begin_allocation() != cudaSuccess) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy(handle); }

std::size_t cublasLtGetVersion() { return 130100; }
const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown";
}
const char* cublasLtGetStatusString(cublasStatus_t /*status*/) {
  return "of the emulated cuBLASLt";
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t leading_dimension) {
  const auto signed_rows = static_cast<std::int64_t>(rows);
  if (rows == 0 || columns == 0 || leading_dimension < signed_rows) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *layout = new cublasLtMatrixLayoutOpaque_t{type, signed_rows, static_cast<std::int64_t>(columns),
                                             leading_dimension};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy(layout);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* matmul, cublasComputeType_t compute,
                                        cudaDataType scale) {
  if (scale != CUDA_R_32F) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  *matmul = new cublasLtMatmulDescOpaque_t{.compute = compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) { return destroy(matmul); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return read(matmul->a_operation, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return read(matmul->b_operation, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return read(matmul->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return read(matmul->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return read(matmul->bias_type, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return read(preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return read(preference->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return read(preference->alignments[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return read(preference->alignments[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return read(preference->alignments[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return read(preference->alignments[3], value, bytes);
    case CUBLASLT_MATMUL_PREF_IMPL_MASK:
      return read(preference->implementations, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
