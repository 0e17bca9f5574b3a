#include "cuda/kernels/energy_head.cuh"

#include "cuda/base/cpu_clones.h"
#ifdef __CUDACC__
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#endif

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

#ifdef __CUDACC__
namespace {

/// A block for each state.
template <class T, int count>
__global__ void energy_head_forward_kernel(std::int64_t inputs, const float* weights,
                                           const float* bias, const T* x, float* f) {
  const T* const state = x + blockIdx.x * inputs;
  double sum = 0;
  for (std::int64_t k = std::int64_t{threadIdx.x} * count; k < inputs;
       k += std::int64_t{blockDim.x} * count) {
    const Floats<count> w = load_pack<count>(weights + k);
    const Floats<count> values = load_pack<count>(state + k);
    for (int j = 0; j < count; ++j) {
      sum += static_cast<double>(w.v[j]) * static_cast<double>(values.v[j]);
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    f[blockIdx.x] = static_cast<float>(static_cast<double>(*bias) + sum);
  }
}

template <class T, int count>
struct BackwardBody {
  std::int64_t inputs;
  const float* weights;
  float df;
  std::int64_t live_states;
  const T* mask;
  T* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t state, std::int64_t pack) const {
    const std::int64_t k = pack * count;
    const std::int64_t at = state * inputs + k;
    Floats<count> gradient{};
    if (state < live_states) {
      gradient = load_pack<count>(weights + k);
      const Floats<count> outputs = mask != nullptr ? load_pack<count>(mask + at) : Floats<count>{};
      for (int j = 0; j < count; ++j) {
        const float dxj = df * gradient.v[j];
        gradient.v[j] = mask != nullptr ? LeakyRelu{}.gradient(outputs.v[j], dxj) : dxj;
      }
    }
    store_pack(dx + at, gradient);
  }
};

template <class T>
struct WeightGradientBody {
  std::int64_t live_states;
  std::int64_t inputs;
  float df;
  const T* x;
  float* dw;
  float* db;

  EBM_HOST_DEVICE void operator()(std::int64_t k) const {
    double sum = 0;
    for (std::int64_t i = 0; i < live_states; ++i) {
      sum += static_cast<double>(static_cast<float>(x[i * inputs + k]));
    }
    dw[k] = static_cast<float>(static_cast<double>(df) * sum);
    if (k == 0) {
      *db = df * static_cast<float>(live_states);
    }
  }
};

}  // namespace

template <class T>
void energy_head_forward(const CudaStream& stream, std::int64_t states, std::int64_t inputs,
                         const float* weights, const float* bias, const T* x, float* f) {
  if (states == 0) {
    return;
  }
  with_widest_pack<float>(
      inputs,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        launch_kernel(stream, static_cast<unsigned>(states), block_threads(inputs / kCount), 0,
                      energy_head_forward_kernel<T, kCount>, inputs, weights, bias, x, f);
      },
      weights, x);
}

template <class T>
void energy_head_backward(const CudaStream& stream, std::int64_t states, std::int64_t inputs,
                          const float* weights, float df, std::int64_t live_states, const T* mask,
                          T* dx) {
  with_widest_pack<float>(
      inputs,
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_cell(stream, states, inputs / kCount,
                      BackwardBody<T, kCount>{inputs, weights, df, live_states, mask, dx});
      },
      weights, mask, dx);
}

template <class T>
void energy_head_weight_gradient(const CudaStream& stream, std::int64_t live_states,
                                 std::int64_t inputs, float df, const T* x, float* dw, float* db) {
  for_each_index(stream, inputs, WeightGradientBody<T>{live_states, inputs, df, x, dw, db});
}

template void energy_head_forward(const CudaStream&, std::int64_t, std::int64_t, const float*,
                                  const float*, const float*, float*);
template void energy_head_forward(const CudaStream&, std::int64_t, std::int64_t, const float*,
                                  const float*, const Bfloat16*, float*);
template void energy_head_backward(const CudaStream&, std::int64_t, std::int64_t, const float*,
                                   float, std::int64_t, const float*, float*);
template void energy_head_backward(const CudaStream&, std::int64_t, std::int64_t, const float*,
                                   float, std::int64_t, const Bfloat16*, Bfloat16*);
template void energy_head_weight_gradient(const CudaStream&, std::int64_t, std::int64_t, float,
                                          const float*, float*, float*);
template void energy_head_weight_gradient(const CudaStream&, std::int64_t, std::int64_t, float,
                                          const Bfloat16*, float*, float*);
#endif

}  // namespace ebm
