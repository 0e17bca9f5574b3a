#include "cuda/kernels/energy_head.cuh"

#include "cuda/device/cpu_clones.h"

namespace ebm {

EBM_CPU_CLONES void energy_head_forward(std::int64_t states, std::int64_t inputs,
                                        const float* weights, float bias, const float* x,
                                        float* f) {
  for (std::int64_t i = 0; i < states; ++i) {
    const float* state = x + i * inputs;
    auto sum = static_cast<double>(bias);
#pragma omp simd reduction(+ : sum)
    for (std::int64_t k = 0; k < inputs; ++k) {
      sum += static_cast<double>(weights[k]) * static_cast<double>(state[k]);
    }
    f[i] = static_cast<float>(sum);
  }
}

EBM_CPU_CLONES void energy_head_backward(std::int64_t states, std::int64_t inputs,
                                         const float* weights, const float* df, float* dx) {
  for (std::int64_t i = 0; i < states; ++i) {
#pragma omp simd
    for (std::int64_t k = 0; k < inputs; ++k) {
      dx[i * inputs + k] = df[i] * weights[k];
    }
  }
}

EBM_CPU_CLONES float energy_head_weight_gradient(std::int64_t states, std::int64_t inputs,
                                                 const float* df, const float* x, float* dw) {
  float bias = 0;
  for (std::int64_t k = 0; k < inputs; ++k) {
    dw[k] = 0;
  }
  for (std::int64_t i = 0; i < states; ++i) {
    bias += df[i];
#pragma omp simd
    for (std::int64_t k = 0; k < inputs; ++k) {
      dw[k] += df[i] * x[i * inputs + k];
    }
  }
  return bias;
}

}  // namespace ebm
