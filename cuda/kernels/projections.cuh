// States seen along a few directions. Pointers are where the queue computes.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"

namespace ebm {

/// projections[i][p] = Σ_k states[i][k]·directions[p][k], of rows of `size` values, summed in
/// double precision.
void project_states(const Queue& queue, const float* states, std::int64_t rows, std::int64_t size,
                    const float* directions, std::int64_t count, float* projections);

}  // namespace ebm
