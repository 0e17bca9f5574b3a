#include "cuda/kernels/softmax.cuh"

#include "cuda/device/cpu_clones.h"
#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/block_reduce.cuh"
#endif

namespace ebm {

EBM_CPU_CLONES void softmax_forward(std::int64_t rows, std::int64_t columns, float* scores) {
  for (std::int64_t row = 0; row < rows; ++row) {
    float* s = scores + row * columns;
    float highest = s[0];
#pragma omp simd reduction(max : highest)
    for (std::int64_t j = 0; j < columns; ++j) {
      highest = s[j] > highest ? s[j] : highest;
    }
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < columns; ++j) {
      s[j] = exp_nonpositive(s[j] - highest);
      sum += s[j];
    }
    const float scale = 1.0F / sum;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) {
      s[j] *= scale;
    }
  }
}

EBM_CPU_CLONES void softmax_backward(std::int64_t rows, std::int64_t columns,
                                     const float* attention, float* attention_gradient) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* a = attention + row * columns;
    float* da = attention_gradient + row * columns;
    // A constant added to a row of dA changes nothing, as A sums to 1. But its rounding does: where
    // keys are alike, as neighbouring pixels are, dA is a large constant and small differences.
    const float common = da[0];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t j = 0; j < columns; ++j) {
      da[j] -= common;
      dot += a[j] * da[j];
    }
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) {
      da[j] = a[j] * (da[j] - dot);
    }
  }
}

#ifdef __CUDACC__
namespace {

constexpr unsigned kRowsPerBlock = 8;

/// A warp for each row.
__global__ void softmax_forward_kernel(std::int64_t rows, std::int64_t columns, float* scores) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.y;
  if (row >= rows) {
    return;
  }
  float* s = scores + row * columns;
  float highest = s[0];
  for (std::int64_t j = threadIdx.x; j < columns; j += kWarp) {
    highest = s[j] > highest ? s[j] : highest;
  }
  highest = warp_reduce(highest, [](float a, float b) { return a > b ? a : b; });
  __syncwarp();  // every lane has read s[0], which one of them writes
  float sum = 0;
  for (std::int64_t j = threadIdx.x; j < columns; j += kWarp) {
    s[j] = exp_nonpositive(s[j] - highest);
    sum += s[j];
  }
  const float scale = 1.0F / warp_sum(sum);
  for (std::int64_t j = threadIdx.x; j < columns; j += kWarp) {
    s[j] *= scale;
  }
}

__global__ void softmax_backward_kernel(std::int64_t rows, std::int64_t columns,
                                        const float* attention, float* attention_gradient) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.y;
  if (row >= rows) {
    return;
  }
  const float* a = attention + row * columns;
  float* da = attention_gradient + row * columns;
  const float common = da[0];  // see softmax_backward on the CPU
  float dot = 0;
  for (std::int64_t j = threadIdx.x; j < columns; j += kWarp) {
    dot += a[j] * (da[j] - common);
  }
  dot = warp_sum(dot);
  __syncwarp();  // every lane has read da[0], which one of them writes
  for (std::int64_t j = threadIdx.x; j < columns; j += kWarp) {
    da[j] = a[j] * ((da[j] - common) - dot);
  }
}

unsigned blocks_for(std::int64_t rows) {
  return static_cast<unsigned>((rows + kRowsPerBlock - 1) / kRowsPerBlock);
}

}  // namespace

void softmax_forward(const CudaStream& stream, std::int64_t rows, std::int64_t columns,
                     float* scores) {
  if (rows == 0 || columns == 0) {
    return;
  }
  launch_kernel(stream, blocks_for(rows), dim3(kWarp, kRowsPerBlock), 0, softmax_forward_kernel,
                rows, columns, scores);
}

void softmax_backward(const CudaStream& stream, std::int64_t rows, std::int64_t columns,
                      const float* attention, float* attention_gradient) {
  if (rows == 0 || columns == 0) {
    return;
  }
  launch_kernel(stream, blocks_for(rows), dim3(kWarp, kRowsPerBlock), 0, softmax_backward_kernel,
                rows, columns, attention, attention_gradient);
}
#endif

}  // namespace ebm
