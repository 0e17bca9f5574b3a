#include "cuda/kernels/leaky_relu.cuh"

#include "cuda/device/cpu_clones.h"

namespace ebm {

EBM_CPU_CLONES void leaky_relu_forward(const LeakyRelu& relu, std::int64_t n, const float* x,
                                       float* y) {
  const LeakyRelu f = relu;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = f(x[i]);
  }
}

EBM_CPU_CLONES void leaky_relu_backward(const LeakyRelu& relu, std::int64_t n, const float* y,
                                        const float* dy, float* dx) {
  const LeakyRelu f = relu;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    dx[i] = f.gradient(y[i], dy[i]);
  }
}

}  // namespace ebm
