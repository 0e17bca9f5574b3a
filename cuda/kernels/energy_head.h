// The last layer of an energy: one output, f = b + Σ w·x. Its terms are large and nearly cancel,
// and learning looks at differences of f between batches, so this one sum is taken in double.
#pragma once

#include <cstdint>

namespace ebm {

/// f[i] = bias + Σ_k weights[k]·x[i·inputs + k], accumulated in double.
void energy_head_forward(std::int64_t states, std::int64_t inputs, const float* weights, float bias,
                         const float* x, float* f);

/// dx[i·inputs + k] = df[i]·weights[k].
void energy_head_backward(std::int64_t states, std::int64_t inputs, const float* weights,
                          const float* df, float* dx);

/// dw[k] = Σ_i df[i]·x[i·inputs + k]; returns Σ_i df[i], the bias's.
float energy_head_weight_gradient(std::int64_t states, std::int64_t inputs, const float* df,
                                  const float* x, float* dw);

}  // namespace ebm
