// The objects of the emulated cuBLASLt, for its own files.
#pragma once

#include <array>
#include <cstdint>

#include "cublasLt.h"

struct cublasLtContext {};

struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType type;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stride;  ///< from a column to the next

  bool operator==(const cublasLtMatrixLayoutOpaque_t&) const = default;
};

struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute;
  cublasOperation_t a_operation = CUBLAS_OP_N;
  cublasOperation_t b_operation = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  int bias_type = -1;  ///< the result's
};

struct cublasLtMatmulPreferenceOpaque_t {
  std::uint64_t workspace = 0;
  std::uint32_t reductions = 7;
  std::array<std::uint32_t, 4> alignments{256, 256, 256, 256};
  std::uint64_t implementations = ~std::uint64_t{0};
};
