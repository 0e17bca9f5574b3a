// The noise of many steps of one chain at a time, for kernels that keep a chain on the chip. For
// nvcc only.
#pragma once

#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/kernels/langevin_update.cuh"

namespace ebm {

/// Normals that replace the drawn ones, for tests: that of step s, chain c and component i is
/// values[(s·chains + c)·size + i], s from 0 in every call. Null: noise is drawn.
struct GivenNoise {
  const float* values = nullptr;
  std::int64_t chains = 0;

  __device__ float4 operator()(std::int64_t step, std::int64_t chain, int group, int size) const {
    const float* from = values + (step * chains + chain) * size;
    float z[4] = {};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (4 * group + k < size) {
        z[k] = from[4 * group + k];
      }
    }
    return make_float4(z[0], z[1], z[2], z[3]);
  }
};

/// The chains of one launch: what they all do, and their number in the noise.
struct ChainSteps {
  LangevinUpdate update;  ///< update.step is the first step's number
  int steps = 0;
  std::uint32_t first_chain = 0;
  GivenNoise given;
};

/// Groups of four components that make a state.
__host__ __device__ constexpr int noise_groups(int size) { return ceil_div(size, 4); }

/// A block's threads draw the noise of `count` steps of chain `chain` (from 0) from the `begin`-th
/// on, a group of four components each: noise[step][group]. That takes a thread longer than a layer
/// of a small network does; drawn for many steps at once it costs a step next to nothing.
__device__ inline void draw_noise(const ChainSteps& run, std::int64_t chain, int begin, int count,
                                  int size, float4* noise) {
  const int groups = noise_groups(size);
  for (int t = static_cast<int>(threadIdx.x); t < count * groups;
       t += static_cast<int>(blockDim.x)) {
    const int step = begin + t / groups;
    const int group = t % groups;
    if (run.given.values != nullptr) {
      noise[t] = run.given(step, chain, group, size);
    } else {
      LangevinUpdate at = run.update;
      at.step += static_cast<std::uint32_t>(step);
      const Floats4 z = at.noise_of(run.first_chain + static_cast<std::uint32_t>(chain),
                                    static_cast<std::uint32_t>(group));
      noise[t] = make_float4(z.v[0], z.v[1], z.v[2], z.v[3]);
    }
  }
}

}  // namespace ebm
