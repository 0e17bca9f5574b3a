// What annealed importance sampling adds to its steps. Pointers are where the queue computes.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"

namespace ebm {

/// log_weights[c] += Σ_steps factors[step]·energies[step][c], energies being steps × chains.
void add_weighted_energies(const Queue& queue, const float* energies, const double* factors,
                           std::int64_t steps, std::int64_t chains, double* log_weights);

}  // namespace ebm
