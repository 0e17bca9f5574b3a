// What annealed importance sampling adds to its steps. Pointers are where the queue computes.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"

namespace ebm {

/// log_weights[c] += Σ_steps factors[step]·energies[step][c], energies being steps × chains.
void add_weighted_energies(const Queue& queue, const float* energies, const double* factors,
                           std::int64_t steps, std::int64_t chains, double* log_weights);

/// to[c] = from[c], rows of `row_size` values, where moves[c] is not 0.
void copy_some_rows(const Queue& queue, const std::uint32_t* moves, const float* from,
                    std::int64_t rows, std::int64_t row_size, float* to);

}  // namespace ebm
