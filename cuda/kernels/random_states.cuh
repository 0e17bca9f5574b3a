// Filling states with noise, and adding it to data.
#pragma once

#include <cstdint>

#include "cuda/random/philox.cuh"

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// states[i][k] = scale·U(−1, 1), for rows of `row_size` values.
void fill_uniform(const RandomStream& stream, float scale, std::int64_t count,
                  std::int64_t row_size, float* states);

/// states[i][k] = scale·N(0, 1).
void fill_normal(const RandomStream& stream, float scale, std::int64_t count, std::int64_t row_size,
                 float* states);

/// states[i][k] += scale·N(0, 1).
void add_normal(const RandomStream& stream, float scale, std::int64_t count, std::int64_t row_size,
                float* states);

#ifdef EBM_CUDA
/// The same, enqueued on a stream; the pointers are the device's.
void fill_uniform(const CudaStream& stream, const RandomStream& random, float scale,
                  std::int64_t count, std::int64_t row_size, float* states);
void fill_normal(const CudaStream& stream, const RandomStream& random, float scale,
                 std::int64_t count, std::int64_t row_size, float* states);
void add_normal(const CudaStream& stream, const RandomStream& random, float scale,
                std::int64_t count, std::int64_t row_size, float* states);
#endif

}  // namespace ebm
