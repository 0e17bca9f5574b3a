#include "cuda/kernels/leaky_relu.cuh"

#include "cuda/base/cpu_clones.h"
#ifdef __CUDACC__
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"
#endif

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

template <class T, int count>
struct ForwardBody {
  LeakyRelu relu;
  const T* x;
  T* y;

  EBM_HOST_DEVICE void operator()(std::int64_t pack) const {
    Floats<count> values = load_pack<count>(x + pack * count);
    for (int k = 0; k < count; ++k) {
      values.v[k] = relu(values.v[k]);
    }
    store_pack(y + pack * count, values);
  }
};

template <class T, int count>
struct BackwardBody {
  LeakyRelu relu;
  const T* y;
  const T* dy;
  T* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t pack) const {
    const Floats<count> outputs = load_pack<count>(y + pack * count);
    Floats<count> gradients = load_pack<count>(dy + pack * count);
    for (int k = 0; k < count; ++k) {
      gradients.v[k] = relu.gradient(outputs.v[k], gradients.v[k]);
    }
    store_pack(dx + pack * count, gradients);
  }
};

}  // namespace

template <class T>
void leaky_relu_forward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n, const T* x,
                        T* y) {
  with_widest_pack<T>(
      n,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_index(stream, n / kCount, ForwardBody<T, kCount>{relu, x, y});
      },
      x, y);
}

template <class T>
void leaky_relu_backward(const CudaStream& stream, const LeakyRelu& relu, std::int64_t n,
                         const T* y, const T* dy, T* dx) {
  with_widest_pack<T>(
      n,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_index(stream, n / kCount, BackwardBody<T, kCount>{relu, y, dy, dx});
      },
      y, dy, dx);
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
