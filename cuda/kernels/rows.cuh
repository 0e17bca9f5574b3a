// Rows of a table of states (a data set, the persistent bank): drawing, gathering, scattering.
//
// Gathering and scattering are kernels of ours: Thrust's take an index for every value, not every
// row.
#pragma once

#include <cstdint>

#include "cuda/random/distinct_rows.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// rows[i] = the i-th row of a draw of `count` distinct rows out of `table_rows`.
/// Throws std::invalid_argument when there are not as many.
void draw_rows(const RandomStream& stream, std::uint32_t table_rows, std::int64_t count,
               std::uint32_t* rows);

/// out[i] = table[rows[i]], rows of `row_size` values.
void gather_rows(const float* table, const std::uint32_t* rows, std::int64_t count,
                 std::int64_t row_size, float* out);

/// table[rows[i]] = in[i]. The rows are distinct.
void scatter_rows(const float* in, const std::uint32_t* rows, std::int64_t count,
                  std::int64_t row_size, float* table);

#ifdef EBM_CUDA
/// The same, enqueued on a stream; the pointers are the device's.
void draw_rows(const CudaStream& stream, const RandomStream& random, std::uint32_t table_rows,
               std::int64_t count, std::uint32_t* rows);
void gather_rows(const CudaStream& stream, const float* table, const std::uint32_t* rows,
                 std::int64_t count, std::int64_t row_size, float* out);
/// Does nothing where `stopped` is not null and what it points to is not 0 by then.
void scatter_rows(const CudaStream& stream, const float* in, const std::uint32_t* rows,
                  std::int64_t count, std::int64_t row_size, float* table,
                  const std::uint32_t* stopped = nullptr);
#endif

}  // namespace ebm
