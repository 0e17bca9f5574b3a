#include "cuda/kernels/leaky_relu.cuh"

#include "cuda/device/cpu_clones.h"
#include "cuda/device/launch.cuh"

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
namespace {

struct ForwardBody {
  LeakyRelu relu;
  const float* x;
  float* y;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { y[i] = relu(x[i]); }
};

struct BackwardBody {
  LeakyRelu relu;
  const float* y;
  const float* dy;
  float* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const { dx[i] = relu.gradient(y[i], dy[i]); }
};

}  // namespace

void leaky_relu_forward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n,
                        const float* x, float* y) {
  for_each_index(stream, n, ForwardBody{relu, x, y});
}

void leaky_relu_backward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n,
                         const float* y, const float* dy, float* dx) {
  for_each_index(stream, n, BackwardBody{relu, y, dy, dx});
}
#endif

}  // namespace ebm
