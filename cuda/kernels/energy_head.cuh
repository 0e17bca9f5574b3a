// The last layer of an energy: one output, f = b + Σ w·x. Its terms are large and nearly cancel,
// and learning looks at differences of f between batches, so this one sum is taken in double.
#pragma once

#include <cstdint>

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// f[i] = bias + Σ_k weights[k]·x[i·inputs + k], accumulated in double.
void energy_head_forward(std::int64_t states, std::int64_t inputs, const float* weights, float bias,
                         const float* x, float* f);

/// dx[i·inputs + k] = df[i]·weights[k].
void energy_head_backward(std::int64_t states, std::int64_t inputs, const float* weights,
                          const float* df, float* dx);

/// dw[k] = Σ_i df[i]·x[i·inputs + k]; returns Σ_i df[i], the bias's.
float energy_head_weight_gradient(std::int64_t states, std::int64_t inputs, const float* df,
                                  const float* x, float* dw);

#ifdef EBM_CUDA
// Enqueued on a stream; the pointers are the device's. T is float or Bfloat16.

/// The forward pass above, with the bias in device memory.
template <class T>
void energy_head_forward(const CudaStream& stream, std::int64_t states, std::int64_t inputs,
                         const float* weights, const float* bias, const T* x, float* f);

/// dx[i·inputs + k] = df·weights[k] for the first `live_states` states, 0 for the others up to
/// `states`. With a `mask`, the input x where a LeakyReLU made it, times LeakyReLU'; or null.
template <class T>
void energy_head_backward(const CudaStream& stream, std::int64_t states, std::int64_t inputs,
                          const float* weights, float df, std::int64_t live_states, const T* mask,
                          T* dx);

/// dw[k] = df·Σ x[i·inputs + k] over the first `live_states` states; *db = df·live_states.
template <class T>
void energy_head_weight_gradient(const CudaStream& stream, std::int64_t live_states,
                                 std::int64_t inputs, float df, const T* x, float* dw, float* db);
#endif

}  // namespace ebm
