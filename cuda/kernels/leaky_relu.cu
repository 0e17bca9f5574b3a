#include "cuda/kernels/leaky_relu.cuh"

#include "cuda/base/cpu_clones.h"
#include "cuda/kernels/elementwise.cuh"

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

#ifdef __CUDACC__
template <class T>
void leaky_relu_forward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n, const T* x,
                        T* y) {
  apply(stream, relu, n, x, y);
}

template <class T>
void leaky_relu_backward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n,
                         const T* y, const T* dy, T* dx) {
  apply_gradient(stream, relu, n, y, dy, dx);
}

template void leaky_relu_forward(const CudaStream&, const LeakyRelu&, std::int64_t, const float*,
                                 float*);
template void leaky_relu_forward(const CudaStream&, const LeakyRelu&, std::int64_t, const Bfloat16*,
                                 Bfloat16*);
template void leaky_relu_backward(const CudaStream&, const LeakyRelu&, std::int64_t, const float*,
                                  const float*, float*);
template void leaky_relu_backward(const CudaStream&, const LeakyRelu&, std::int64_t,
                                  const Bfloat16*, const Bfloat16*, Bfloat16*);
#endif

}  // namespace ebm
