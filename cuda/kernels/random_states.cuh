// Filling states with noise, and adding it to data. Pointers are where the queue computes.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"
#include "cuda/random/philox.cuh"
#include "cuda/random/shard.h"

namespace ebm {

/// states[i][k] = scale·U(−1, 1), for rows of `row_size` values; the shard's number of a row is its
/// number in the stream.
void fill_uniform(const Queue& queue, const RandomStream& stream, float scale, const Shard& rows,
                  std::int64_t row_size, float* states);

/// states[i][k] = U(low, high).
void fill_box(const Queue& queue, const RandomStream& stream, float low, float high,
              const Shard& rows, std::int64_t row_size, float* states);

/// states[i][k] = scale·N(0, 1).
void fill_normal(const Queue& queue, const RandomStream& stream, float scale, const Shard& rows,
                 std::int64_t row_size, float* states);

/// states[i][k] += scale·N(0, 1).
void add_normal(const Queue& queue, const RandomStream& stream, float scale, const Shard& rows,
                std::int64_t row_size, float* states);

}  // namespace ebm
