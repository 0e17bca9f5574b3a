#include "cuda/kernels/langevin_update.cuh"

#include <algorithm>
#include <cmath>

#include "cuda/base/ceil_div.h"
#include "cuda/base/cpu_clones.h"
#include "cuda/device/launch.cuh"
#ifdef __CUDACC__
#include "cuda/device/block_reduce.cuh"
#endif

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
    const std::int64_t groups = ceil_div(count, 4);
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

#ifdef __CUDACC__
namespace {

/// Four neighbouring components in one access of 16 bytes, or one by one where states are not
/// multiples of it.
struct Whole4 {
  __device__ static Floats4 load(const float* from, std::int64_t /*count*/) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    return {{v.x, v.y, v.z, v.w}};
  }
  __device__ static void store(float* to, std::int64_t /*count*/, const Floats4& v) {
    *reinterpret_cast<float4*>(to) = make_float4(v.v[0], v.v[1], v.v[2], v.v[3]);
  }
};
struct Part4 {
  __device__ static Floats4 load(const float* from, std::int64_t count) {
    Floats4 v{};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      v.v[k] = k < count ? from[k] : 0.0F;
    }
    return v;
  }
  __device__ static void store(float* to, std::int64_t count, const Floats4& v) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (k < count) {
        to[k] = v.v[k];
      }
    }
  }
};

constexpr unsigned kMostThreads = 768;  // two blocks on a processor

/// A block for each chain, a thread for each group of four components. All that a thread reads is
/// asked for before its noise is drawn.
template <class Access>
__global__ void __launch_bounds__(kMostThreads, 2)
    langevin_update_kernel(LangevinUpdate update, ChainCounter* counters, std::uint32_t first_chain,
                           std::int64_t size, const float* gradients, const float* given_noise,
                           float* states, float* norm_sums) {
  const float norm_sum = threadIdx.x == 0 ? norm_sums[blockIdx.x] : 0.0F;
  const std::int64_t chain = std::int64_t{blockIdx.x} * size;
  float sum_of_squares = 0;
  for (std::int64_t group = threadIdx.x; 4 * group < size; group += blockDim.x) {
    const std::int64_t at = chain + 4 * group;
    const std::int64_t count = size - 4 * group;
    const Floats4 gradient = Access::load(gradients + at, count);
    Floats4 x = Access::load(states + at, count);
    Floats4 z;
    if (given_noise != nullptr) {
      z = Access::load(given_noise + at, count);
    } else {
      std::uint32_t number = first_chain + blockIdx.x;
      if (counters != nullptr) {  // in the loop, or the noise's keys would all stay in registers
        const ChainCounter counter = counters[blockIdx.x];
        update.noise = counter.noise;
        update.step = counter.step;
        number = counter.chain;
      }
      z = update.noise_of(number, static_cast<std::uint32_t>(group));
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      sum_of_squares += gradient.v[k] * gradient.v[k];
      x.v[k] = update(x.v[k], gradient.v[k], z.v[k]);
    }
    Access::store(states + at, count, x);
  }
  sum_of_squares = block_sum(sum_of_squares);
  if (threadIdx.x == 0) {
    norm_sums[blockIdx.x] = norm_sum + sqrtf(sum_of_squares);
    if (counters != nullptr) {  // which all threads have read before their sums met
      ++counters[blockIdx.x].step;
    }
  }
}

struct SetChainCounterBody {
  ChainCounter first;
  ChainCounter* counters;

  EBM_HOST_DEVICE void operator()(std::int64_t c) const {
    counters[c] = first;
    counters[c].chain += static_cast<std::uint32_t>(c);
  }
};

bool on_16_bytes(const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

}  // namespace

void langevin_update(const CudaStream& stream, const LangevinUpdate& update,
                     std::uint32_t first_chain, int chains, std::int64_t state_size,
                     const float* gradients, const float* given_noise, float* states,
                     float* norm_sums, ChainCounter* counters) {
  if (chains == 0) {
    return;
  }
  const bool whole = state_size % 4 == 0 && on_16_bytes(gradients) && on_16_bytes(given_noise) &&
                     on_16_bytes(states);
  const auto kernel = whole ? langevin_update_kernel<Whole4> : langevin_update_kernel<Part4>;
  // As many threads as take the groups in the fewest turns: of the size alone, as the sum's order.
  const std::int64_t groups = ceil_div(state_size, 4);
  const std::int64_t turns = std::max(ceil_div(groups, kMostThreads), std::int64_t{1});
  const auto warps = static_cast<unsigned>(ceil_div(groups, turns * kWarp));
  const unsigned threads = std::max(warps, 1U) * kWarp;
  launch_kernel(stream, static_cast<unsigned>(chains), threads, 0, kernel, update, counters,
                first_chain, state_size, gradients, given_noise, states, norm_sums);
}

void set_chain_counters(const CudaStream& stream, const RandomStream& noise, std::uint32_t step,
                        std::uint32_t first_chain, std::int64_t chains, ChainCounter* counters) {
  for_each_index(stream, chains, SetChainCounterBody{{noise, step, first_chain}, counters});
}
#endif

}  // namespace ebm
