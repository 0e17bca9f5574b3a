#include "cuda/nn/gpu/lt_linear.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cuda/device/cublas_lt.h"
#include "cuda/device/cuda_handle.h"

namespace ebm {
namespace {

cublasStatus_t release_matmul(cublasLtMatmulDesc_t matmul) {
  return cublas_lt().destroy_matmul(matmul);
}
cublasStatus_t release_layout(cublasLtMatrixLayout_t layout) {
  return cublas_lt().destroy_layout(layout);
}
cublasStatus_t release_preference(cublasLtMatmulPreference_t preference) {
  return cublas_lt().destroy_preference(preference);
}
using Matmul = CudaHandle<cublasLtMatmulDesc_t, release_matmul>;
using Layout = CudaHandle<cublasLtMatrixLayout_t, release_layout>;
using Preference = CudaHandle<cublasLtMatmulPreference_t, release_preference>;

template <class T>
void set(const Matmul& matmul, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  EBM_CHECK_CUBLAS_LT(cublas_lt().set_matmul(matmul.get(), attribute, &value, sizeof(T)));
}
template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  EBM_CHECK_CUBLAS_LT(cublas_lt().set_preference(preference.get(), attribute, &value, sizeof(T)));
}

template <class T>
T get(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  T value{};
  std::size_t written = 0;
  EBM_CHECK_CUBLAS_LT(
      cublas_lt().get_configuration(&algorithm, attribute, &value, sizeof(T), &written));
  return value;
}

constexpr std::uint32_t kAlignment = 16;  // of LtArrays

cudaDataType stored(Precision precision) {
  return precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}
cudaDataType result_type(const LtProblem& problem) {
  return problem.pass == ConvolutionPass::weight_gradient ? CUDA_R_32F : stored(problem.precision);
}

/// The library's matrices have their columns one after the other: rows × columns of ours is the
/// transpose, columns × rows, of theirs.
Layout layout_of(cudaDataType type, std::int64_t rows, std::int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  EBM_CHECK_CUBLAS_LT(cublas_lt().create_layout(&layout, type, static_cast<std::uint64_t>(columns),
                                                static_cast<std::uint64_t>(rows), columns));
  return Layout(layout);
}

/// The ways to add parts of a sum that are allowed. INPLACE adds them in the result as blocks come
/// to it; OUTPUT_TYPE rounds them to the result's type first, which is as good as float if it is.
std::uint32_t allowed_reductions(const LtProblem& problem) {
  std::uint32_t allowed = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  if (result_type(problem) == CUDA_R_32F) {
    allowed |= CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  }
  return allowed;
}

bool has_allowed_reduction(const LtProblem& problem, const cublasLtMatmulAlgo_t& algorithm) {
  const auto reduction = get<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
  return (reduction & ~allowed_reductions(problem)) == 0;  // none is 0
}

Preference preference_of(const LtProblem& problem) {
  cublasLtMatmulPreference_t created = nullptr;
  EBM_CHECK_CUBLAS_LT(cublas_lt().create_preference(&created));
  Preference preference(created);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      std::uint64_t{LtPlan::kLargestWorkspace});
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, allowed_reductions(problem));
  for (const auto alignment :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(preference, alignment, kAlignment);
  }
  if (problem.precision == Precision::fp32) {
    set(preference, CUBLASLT_MATMUL_PREF_IMPL_MASK,
        std::uint64_t{~CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK});
  }
  return preference;
}

}  // namespace

/// A problem as the library describes it: result = op(a) op(b), a the right array, b the left.
struct LtPlan::Product {
  LtProblem problem;
  Matmul matmul;
  Layout a;
  Layout b;
  Layout result;

  explicit Product(const LtProblem& of);

  void point_to_bias(const void* bias) const {
    set(matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
};

LtPlan::Product::Product(const LtProblem& of) : problem(of) {
  const bool forward = of.pass == ConvolutionPass::forward;
  const bool weight_gradient = of.pass == ConvolutionPass::weight_gradient;
  cublasLtMatmulDesc_t created = nullptr;
  EBM_CHECK_CUBLAS_LT(cublas_lt().create_matmul(
      &created, of.precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
      CUDA_R_32F));
  matmul = Matmul(created);
  set(matmul, CUBLASLT_MATMUL_DESC_TRANSA, forward ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(matmul, CUBLASLT_MATMUL_DESC_TRANSB, weight_gradient ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (of.bias) {
    set(matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(matmul, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
    // Until a plan runs, the library looks at the alignment of this address alone.
    alignas(2 * kAlignment) static constexpr std::byte kPlace[2 * kAlignment] = {};
    point_to_bias(kPlace + kAlignment);
  }

  const cudaDataType type = stored(of.precision);
  Layout weight = layout_of(weight_gradient ? CUDA_R_32F : type, of.outputs, of.inputs);
  Layout x = layout_of(type, of.rows, of.inputs);
  Layout y = layout_of(type, of.rows, of.outputs);
  a = std::move(weight_gradient ? x : weight);
  b = std::move(forward ? x : y);
  result = std::move(weight_gradient ? weight : forward ? y : x);
}

struct LtPlan::Algorithm {
  cublasLtMatmulAlgo_t algorithm;
  std::size_t workspace_bytes;
};

LtPlan::LtPlan(std::shared_ptr<const Product> product, const Algorithm& algorithm)
    : product_(std::move(product)), algorithm_(std::make_shared<Algorithm>(algorithm)) {}

std::vector<LtPlan> lt_candidates(const CublasLtHandle& handle, const LtProblem& problem,
                                  std::size_t most) {
  const auto product = std::make_shared<const LtPlan::Product>(problem);
  const Preference preference = preference_of(problem);
  std::vector<cublasLtMatmulHeuristicResult_t> proposed(most);
  int count = 0;
  const cublasStatus_t status = cublas_lt().find_algorithms(
      handle.get(), product->matmul.get(), product->a.get(), product->b.get(),
      product->result.get(), product->result.get(), preference.get(), static_cast<int>(most),
      proposed.data(), &count);
  std::vector<LtPlan> plans;
  // What the library says of types and epilogues that it does not combine.
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
    return plans;
  }
  check_cublas_lt(status, "cublas_lt().find_algorithms", __FILE__, __LINE__);
  proposed.resize(static_cast<std::size_t>(count));
  for (const cublasLtMatmulHeuristicResult_t& result : proposed) {
    if (result.state == CUBLAS_STATUS_SUCCESS && has_allowed_reduction(problem, result.algo)) {
      plans.push_back(LtPlan(product, {result.algo, result.workspaceSize}));
    }
  }
  return plans;
}

// What is saved is the library's version, for which alone the algorithm means something, and the
// algorithm, whose bytes may be copied.

std::vector<std::uint8_t> LtPlan::save() const {
  const std::uint64_t version = cublas_lt_version();
  std::vector<std::uint8_t> saved(sizeof(version) + sizeof(cublasLtMatmulAlgo_t));
  std::memcpy(saved.data(), &version, sizeof(version));
  std::memcpy(saved.data() + sizeof(version), &algorithm_->algorithm, sizeof(cublasLtMatmulAlgo_t));
  return saved;
}

std::optional<LtPlan> LtPlan::restore(const CublasLtHandle& handle, const LtProblem& problem,
                                      const std::vector<std::uint8_t>& saved) {
  std::uint64_t version = 0;
  cublasLtMatmulAlgo_t algorithm{};
  if (saved.size() != sizeof(version) + sizeof(algorithm)) {
    return std::nullopt;
  }
  std::memcpy(&version, saved.data(), sizeof(version));
  std::memcpy(&algorithm, saved.data() + sizeof(version), sizeof(algorithm));
  if (version != cublas_lt_version()) {
    return std::nullopt;
  }
  auto product = std::make_shared<const Product>(problem);
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status = cublas_lt().check_algorithm(
      handle.get(), product->matmul.get(), product->a.get(), product->b.get(),
      product->result.get(), product->result.get(), &algorithm, &result);
  if (status != CUBLAS_STATUS_SUCCESS || result.workspaceSize > kLargestWorkspace ||
      !has_allowed_reduction(problem, algorithm)) {
    return std::nullopt;
  }
  return LtPlan(std::move(product), {algorithm, result.workspaceSize});
}

std::string LtPlan::name() const {
  const cublasLtMatmulAlgo_t& of = algorithm_->algorithm;
  const std::pair<const char*, std::int64_t> parts[] = {
      {"algorithm ", get<std::int32_t>(of, CUBLASLT_ALGO_CONFIG_ID)},
      {", tile ", get<std::uint32_t>(of, CUBLASLT_ALGO_CONFIG_TILE_ID)},
      {", stages ", get<std::uint32_t>(of, CUBLASLT_ALGO_CONFIG_STAGES_ID)},
      {", split ", get<std::int32_t>(of, CUBLASLT_ALGO_CONFIG_SPLITK_NUM)},
      {", reduction ", get<std::uint32_t>(of, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME)},
      {", swizzling ", get<std::uint32_t>(of, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING)},
      {", option ", get<std::uint32_t>(of, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION)},
      {", inner shape ", get<std::uint16_t>(of, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID)},
      {", cluster ", get<std::uint16_t>(of, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID)},
  };
  std::string name = "cuBLASLt ";
  for (const auto& [what, value] : parts) {
    name += what + std::to_string(value);
  }
  return name;
}

std::size_t LtPlan::workspace_bytes() const { return algorithm_->workspace_bytes; }

void LtPlan::run(const CublasLtHandle& handle, const LtArrays& arrays, void* workspace) const {
  if (product_->problem.bias) {
    product_->point_to_bias(arrays.bias);
  }
  const float one = 1;
  const float zero = 0;
  EBM_CHECK_CUBLAS_LT(cublas_lt().matmul(handle.get(), product_->matmul.get(), &one, arrays.right,
                                         product_->a.get(), arrays.left, product_->b.get(), &zero,
                                         arrays.result, product_->result.get(), arrays.result,
                                         product_->result.get(), &algorithm_->algorithm, workspace,
                                         algorithm_->workspace_bytes, handle.stream().get()));
}

}  // namespace ebm
