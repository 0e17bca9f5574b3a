// The emulated cuBLASLt's matrix products, an element at a time. Columns of a matrix follow each
// other.

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <numeric>
#include <vector>

#include "cublas_lt.h"
#include "cuda/base/ceil_div.h"
#include "launch.h"
#include "runtime.h"

namespace emulated_cuda {
namespace {

/// What a cublasLtMatmulAlgo_t holds here. It needs arrays aligned to 16 bytes.
struct Algorithm {
  std::int32_t id;
  std::int32_t splits;  ///< parts of each sum
  std::uint32_t reduction;
  std::uint32_t implementation;
};

constexpr Algorithm kAlgorithms[] = {
    {0, 1, CUBLASLT_REDUCTION_SCHEME_NONE, CUBLASLT_NUMERICAL_IMPL_FLAGS_HMMA},
    {1, 1, CUBLASLT_REDUCTION_SCHEME_NONE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA},
    {2, 3, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA},
    {3, 2, CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA},
    {4, 2, CUBLASLT_REDUCTION_SCHEME_INPLACE, CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA},
};
constexpr std::uint32_t kAlignment = 16;

/// A number as `type` stores it. Rounds a bfloat16 to the nearest, ties to even; no NaNs.
std::uint32_t store(cudaDataType type, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return type == CUDA_R_32F ? bits : (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
}

std::size_t bytes_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

/// A matrix in memory, or its transpose.
struct Matrix {
  cublasLtMatrixLayoutOpaque_t layout;
  cublasOperation_t operation;
  std::byte* values;

  std::int64_t rows() const { return operation == CUBLAS_OP_N ? layout.rows : layout.columns; }
  std::int64_t columns() const { return operation == CUBLAS_OP_N ? layout.columns : layout.rows; }
  std::byte* place(std::int64_t row, std::int64_t column) const {
    const std::int64_t index =
        operation == CUBLAS_OP_N ? row + column * layout.stride : column + row * layout.stride;
    return values + static_cast<std::size_t>(index) * bytes_of(layout.type);
  }
  float at(std::int64_t row, std::int64_t column) const {
    std::uint32_t bits = 0;
    std::memcpy(&bits, place(row, column), bytes_of(layout.type));
    return std::bit_cast<float>(layout.type == CUDA_R_32F ? bits : bits << 16);
  }
  void put(std::int64_t row, std::int64_t column, float value) const {
    const std::uint32_t bits = store(layout.type, value);
    std::memcpy(place(row, column), &bits, bytes_of(layout.type));
  }
};

/// One call of cublasLtMatmul.
struct Product {
  Matrix a, b, result;
  cublasLtEpilogue_t epilogue;
  const float* bias;
  Algorithm algorithm;
  float* parts;  ///< of the result, one after the other

  void compute() const;
  float element(std::int64_t row, std::int64_t column) const;
};

float Product::element(std::int64_t row, std::int64_t column) const {
  const std::int64_t inner = a.columns();
  const std::int64_t share = ebm::ceil_div(inner, algorithm.splits);
  float* const part = algorithm.splits == 1
                          ? nullptr
                          : parts + (row + column * a.rows()) * std::int64_t{algorithm.splits};
  float sum = 0;
  for (std::int64_t split = 0; split < algorithm.splits; ++split) {
    sum = 0;
    for (std::int64_t k = split * share; k < std::min(inner, (split + 1) * share); ++k) {
      sum += a.at(row, k) * b.at(k, column);
    }
    if (part != nullptr) {
      part[split] = sum;
    }
  }
  return part == nullptr ? sum : std::accumulate(part, part + algorithm.splits, 0.0F);
}

void Product::compute() const {
  for (std::int64_t column = 0; column < b.columns(); ++column) {
    for (std::int64_t row = 0; row < a.rows(); ++row) {
      const float added = epilogue == CUBLASLT_EPILOGUE_BIAS ? bias[row] : 0.0F;
      result.put(row, column, element(row, column) + added);
    }
  }
}

/// Whether there is any algorithm for these.
cublasStatus_t check(const cublasLtMatmulDescOpaque_t& matmul,
                     const cublasLtMatrixLayoutOpaque_t& a, const cublasLtMatrixLayoutOpaque_t& b,
                     const cublasLtMatrixLayoutOpaque_t& c, const cublasLtMatrixLayoutOpaque_t& d) {
  const Matrix left{a, matmul.a_operation, nullptr};
  const Matrix right{b, matmul.b_operation, nullptr};
  if (c != d || left.rows() != d.rows || right.columns() != d.columns ||
      left.columns() != right.rows()) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool tf32 = matmul.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  if (a.type != b.type || (a.type == CUDA_R_32F && d.type != CUDA_R_32F) ||
      (a.type == CUDA_R_16BF && tf32)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const bool bias = matmul.epilogue != CUBLASLT_EPILOGUE_DEFAULT;
  const bool bias_fits = matmul.bias_type == -1 || matmul.bias_type == d.type;
  return bias && !bias_fits ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

std::size_t workspace_of(const Algorithm& algorithm, const cublasLtMatrixLayoutOpaque_t& d) {
  const auto results = static_cast<std::size_t>(d.rows * d.columns);
  return algorithm.splits == 1
             ? 0
             : results * static_cast<std::size_t>(algorithm.splits) * sizeof(float);
}

cublasLtMatmulHeuristicResult_t proposal(const Algorithm& algorithm,
                                         const cublasLtMatrixLayoutOpaque_t& d) {
  cublasLtMatmulHeuristicResult_t result{};
  std::memcpy(&result.algo, &algorithm, sizeof(algorithm));
  result.workspaceSize = workspace_of(algorithm, d);
  return result;
}

Algorithm algorithm_in(const cublasLtMatmulAlgo_t& stored) {
  Algorithm algorithm{};
  std::memcpy(&algorithm, &stored, sizeof(algorithm));
  return algorithm;
}

bool allows(const cublasLtMatmulPreferenceOpaque_t& preference, const Algorithm& algorithm,
            const cublasLtMatrixLayoutOpaque_t& d) {
  return (algorithm.reduction & ~preference.reductions) == 0 &&
         (algorithm.implementation & ~preference.implementations) == 0 &&
         workspace_of(algorithm, d) <= preference.workspace &&
         std::ranges::all_of(preference.alignments,
                             [](std::uint32_t alignment) { return alignment >= kAlignment; });
}

bool is_aligned(const void* array) {
  return reinterpret_cast<std::uintptr_t>(array) % kAlignment == 0;
}

template <class T>
cublasStatus_t write(T from, void* value, std::size_t bytes, std::size_t* written) {
  if (value == nullptr || bytes != sizeof(T)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(value, &from, bytes);
  *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace emulated_cuda

using namespace emulated_cuda;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  if (handle == nullptr || asked <= 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (const cublasStatus_t status = check(*matmul, *a, *b, *c, *d);
      status != CUBLAS_STATUS_SUCCESS) {
    return status;
  }
  *count = 0;
  for (const Algorithm& algorithm : kAlgorithms) {
    if (*count < asked && allows(*preference, algorithm, *d)) {
      results[(*count)++] = proposal(algorithm, *d);
    }
  }
  return *count == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t /*handle*/, cublasLtMatmulDesc_t matmul,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  const Algorithm known = algorithm_in(*algorithm);
  if (known.id < 0 || known.id >= std::ssize(kAlgorithms)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  *result = proposal(known, *d);
  return check(*matmul, *a, *b, *c, *d);
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, std::size_t bytes,
                                                    std::size_t* written) {
  const Algorithm of = algorithm_in(*algorithm);
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
      return write(of.id, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
      return write(of.splits, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
      return write(of.reduction, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
    case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
      return write(std::uint32_t{0}, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
    case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID:
      return write(std::uint16_t{0}, value, bytes, written);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                              const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  const std::scoped_lock lock(device_mutex());
  cublasLtMatmulHeuristicResult_t needed{};
  if (const cublasStatus_t status = cublasLtMatmulAlgoCheck(handle, matmul, a_layout, b_layout,
                                                            c_layout, d_layout, algorithm, &needed);
      status != CUBLAS_STATUS_SUCCESS) {
    return status;
  }
  float scales[2];
  std::memcpy(&scales[0], alpha, sizeof(float));
  std::memcpy(&scales[1], beta, sizeof(float));
  std::vector<const void*> arrays = {a, b, d};
  if (matmul->epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
    arrays.push_back(matmul->bias);
  }
  if (needed.workspaceSize > 0) {
    arrays.push_back(workspace);
  }
  if (scales[0] != 1 || scales[1] != 0 || c != d || workspace_bytes < needed.workspaceSize ||
      !std::ranges::all_of(arrays, is_aligned)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!std::ranges::all_of(arrays, is_given_out)) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  const auto values = [](const void* array) {
    return const_cast<std::byte*>(static_cast<const std::byte*>(array));
  };
  const Product product{.a = {*a_layout, matmul->a_operation, values(a)},
                        .b = {*b_layout, matmul->b_operation, values(b)},
                        .result = {*d_layout, CUBLAS_OP_N, values(d)},
                        .epilogue = matmul->epilogue,
                        .bias = static_cast<const float*>(matmul->bias),
                        .algorithm = algorithm_in(*algorithm),
                        .parts = static_cast<float*>(workspace)};
  ++current_counts().kernels;
  const cudaError_t status = enqueue(stream, [product] {
    product.compute();
    return cudaSuccess;
  });
  return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
