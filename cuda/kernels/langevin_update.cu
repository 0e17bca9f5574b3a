#include "cuda/kernels/langevin_update.cuh"

#include <algorithm>
#include <cmath>

#include "cuda/device/cpu_clones.h"
#include "cuda/device/launch.cuh"

namespace ebm {
namespace {

// Components are taken in blocks, noise first, so that the noise runs across vector lanes.
constexpr std::int64_t kBlockGroups = 16;
constexpr std::int64_t kBlock = 4 * kBlockGroups;

EBM_CPU_CLONES float update_chain(const LangevinUpdate& update, std::uint32_t chain,
                                  std::int64_t size, const float* gradient, float* x) {
  alignas(64) float z[kBlock];
  float sum_of_squares = 0;
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, size - begin);
    const std::int64_t groups = (count + 3) / 4;
#pragma omp simd
    for (std::int64_t group = 0; group < groups; ++group) {
      const Floats4 four = update.noise_of(chain, static_cast<std::uint32_t>(begin / 4 + group));
      z[4 * group] = four.v[0];
      z[4 * group + 1] = four.v[1];
      z[4 * group + 2] = four.v[2];
      z[4 * group + 3] = four.v[3];
    }
#pragma omp simd reduction(+ : sum_of_squares)
    for (std::int64_t i = 0; i < count; ++i) {
      const float g = gradient[begin + i];
      sum_of_squares += g * g;
      x[begin + i] = update(x[begin + i], g, z[i]);
    }
  }
  return sum_of_squares;
}

EBM_CPU_CLONES float update_chain_with(const LangevinUpdate& update, const float* noise,
                                       std::int64_t size, const float* gradient, float* x) {
  float sum_of_squares = 0;
#pragma omp simd reduction(+ : sum_of_squares)
  for (std::int64_t i = 0; i < size; ++i) {
    sum_of_squares += gradient[i] * gradient[i];
    x[i] = update(x[i], gradient[i], noise[i]);
  }
  return sum_of_squares;
}

}  // namespace

void langevin_update(const LangevinUpdate& update, std::uint32_t first_chain, int chains,
                     std::int64_t state_size, const float* gradients, const float* given_noise,
                     float* states, float* norm_sums) {
  for (int c = 0; c < chains; ++c) {
    const std::int64_t at = c * state_size;
    const float sum_of_squares =
        given_noise != nullptr
            ? update_chain_with(update, given_noise + at, state_size, gradients + at, states + at)
            : update_chain(update, first_chain + static_cast<std::uint32_t>(c), state_size,
                           gradients + at, states + at);
    norm_sums[c] += std::sqrt(sum_of_squares);
  }
}

}  // namespace ebm
