#include "cuda/kernels/softmax.cuh"

#include "cuda/base/cpu_clones.h"

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

}  // namespace ebm
