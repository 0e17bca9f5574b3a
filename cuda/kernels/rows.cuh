// Rows of a table of states (a data set, the persistent bank): drawing, gathering, scattering.
// Pointers are where the queue computes.
//
// Gathering and scattering are kernels of ours: Thrust's take an index for every value, not every
// row.
#pragma once

#include <cstdint>

#include "cuda/device/queue.h"
#include "cuda/random/distinct_rows.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

/// rows[i] = the i-th row of a draw of `count` distinct rows out of `table_rows`.
/// Throws std::invalid_argument when there are not as many.
void draw_rows(const Queue& queue, const RandomStream& stream, std::uint32_t table_rows,
               std::int64_t count, std::uint32_t* rows);

/// out[i] = table[rows[i]], rows of `row_size` values.
void gather_rows(const Queue& queue, const float* table, const std::uint32_t* rows,
                 std::int64_t count, std::int64_t row_size, float* out);

/// table[rows[i]] = in[i]. The rows are distinct. Does nothing where `stopped` is not null and what
/// it points to is not 0 by then.
void scatter_rows(const Queue& queue, const float* in, const std::uint32_t* rows,
                  std::int64_t count, std::int64_t row_size, float* table,
                  const std::uint32_t* stopped = nullptr);

}  // namespace ebm
