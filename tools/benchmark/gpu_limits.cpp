#include "tools/benchmark/gpu_limits.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cuda/device/cublas_status.h"
#include "cuda/device/cuda_handle.h"
#include "cuda/device/device_buffer.h"
#include "tools/benchmark/gpu_timer.h"

namespace ebm {
namespace {

constexpr int kRepetitions = 7;
constexpr int kSize = 8192;  // of the matrices: large enough for any GPU's best

cublasHandle_t create() {
  cublasHandle_t handle = nullptr;
  EBM_CHECK_CUBLAS(cublasCreate(&handle));
  return handle;
}

/// Bits of values on (1, 2), which no hardware can skip as it can zeros: every mantissa is another.
/// As pairs of bfloat16 they are of that size too.
std::vector<std::uint32_t> random_ones(std::size_t words) {
  std::vector<std::uint32_t> values(words);
  std::uint32_t state = 1;
  for (std::uint32_t& value : values) {
    state = state * 1664525U + 1013904223U;
    value = 0x3F803F80U | ((state >> 9) & 0x007F007FU);
  }
  return values;
}

}  // namespace

double peak_arithmetic(const CudaStream& stream, Precision precision) {
  constexpr std::size_t kValues = std::size_t{kSize} * kSize;
  const std::vector<std::uint32_t> ones = random_ones(kValues);
  DeviceBuffer<std::uint32_t> a(stream, kValues);
  DeviceBuffer<std::uint32_t> b(stream, kValues);
  DeviceBuffer<float> c(stream, kValues);
  a.upload(stream, ones);
  b.upload(stream, ones);
  const CudaHandle<cublasHandle_t, cublasDestroy> handle(create());
  EBM_CHECK_CUBLAS(cublasSetStream(handle.get(), stream.get()));
  const cudaDataType_t type = precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F;
  const cublasComputeType_t compute =
      precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  const float one = 1;
  const float zero = 0;
  const double seconds = median_seconds(stream, kRepetitions, [&] {
    EBM_CHECK_CUBLAS(cublasGemmEx(handle.get(), CUBLAS_OP_N, CUBLAS_OP_N, kSize, kSize, kSize, &one,
                                  a.data(), type, kSize, b.data(), type, kSize, &zero, c.data(),
                                  CUDA_R_32F, kSize, compute, CUBLAS_GEMM_DEFAULT));
  });
  return 2.0 * kSize * kSize * kSize / seconds;
}

double copy_bandwidth(const CudaStream& stream) {
  constexpr std::size_t kValues = std::size_t{1} << 28;  // 1 GiB
  const DeviceBuffer<float> from(stream, kValues);
  DeviceBuffer<float> to(stream, kValues);
  const double seconds = median_seconds(stream, kRepetitions, [&] { to.copy_from(stream, from); });
  return 2.0 * kValues * sizeof(float) / seconds;
}

}  // namespace ebm
