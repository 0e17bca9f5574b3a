// Filling states with noise, and adding it to data. Pointers are where the queue computes.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"
#include "cuda/random/philox.cuh"

namespace ebm {

/// states[i][k] = scale·U(−1, 1), for rows of `row_size` values, row i numbered first_row + i in
/// the stream.
void fill_uniform(const Queue& queue, const RandomStream& stream, float scale, std::int64_t count,
                  std::int64_t row_size, float* states, std::uint32_t first_row = 0);

/// states[i][k] = scale·N(0, 1).
void fill_normal(const Queue& queue, const RandomStream& stream, float scale, std::int64_t count,
                 std::int64_t row_size, float* states, std::uint32_t first_row = 0);

/// states[i][k] += scale·N(0, 1).
void add_normal(const Queue& queue, const RandomStream& stream, float scale, std::int64_t count,
                std::int64_t row_size, float* states, std::uint32_t first_row = 0);

}  // namespace ebm
