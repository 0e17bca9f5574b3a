// One Langevin step of the states, fused: gradient step, noise, clamp, and each chain's ‖∇f‖.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/random/normal.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// x ← clamp(x − s·∇f(x) + ε·z), z ~ N(0, I). With U = f/(ε²/2) and s = 1 this is
/// x ← x − (ε²/2)∇U + εz, the Euler–Maruyama step of Langevin diffusion (Roberts and Tweedie,
/// 1996).
struct LangevinUpdate {
  float epsilon = 0;
  float gradient_scale = 1;  ///< s; other than 1 when U is not f/(ε²/2)
  float lowest = -INFINITY;  ///< the clamp; infinite when states are not clamped
  float highest = INFINITY;
  RandomStream noise{};
  std::uint32_t step = 0;

  /// Components 4·group … 4·group+3 of one chain.
  EBM_HOST_DEVICE Floats4 noise_of(std::uint32_t chain, std::uint32_t group) const {
    return normals(noise.words(step, chain, group));
  }

  /// One component. A NaN stays a NaN, so that divergence is seen.
  EBM_HOST_DEVICE float operator()(float x, float gradient, float z) const {
    const float moved = x - gradient_scale * gradient + epsilon * z;
    const float above = moved < lowest ? lowest : moved;
    return above > highest ? highest : above;
  }
};

/// Moves `chains` states of `state_size` components in place and adds each chain's ‖∇f‖₂ to
/// norm_sums[chain]. Chains are numbered from first_chain in the noise. `given_noise`, when not
/// null, replaces the normals (chains × state_size).
void langevin_update(const LangevinUpdate& update, std::uint32_t first_chain, int chains,
                     std::int64_t state_size, const float* gradients, const float* given_noise,
                     float* states, float* norm_sums);

#ifdef EBM_CUDA
/// Where one chain is in its noise, in device memory, so that one captured graph serves every step
/// and iteration.
struct ChainCounter {
  RandomStream noise{};
  std::uint32_t step = 0;
  std::uint32_t chain = 0;  ///< its number
};

/// The same, enqueued on a stream; the pointers are the device's. `counters`, when not null, one a
/// chain, take the place of update.noise, update.step and first_chain, and go on to the next step.
/// A chain's norm is summed in an order that depends on state_size alone.
void langevin_update(const CudaStream& stream, const LangevinUpdate& update,
                     std::uint32_t first_chain, int chains, std::int64_t state_size,
                     const float* gradients, const float* given_noise, float* states,
                     float* norm_sums, ChainCounter* counters = nullptr);

/// Enqueues counters[c] = {noise, step, first_chain + c} for all of `chains`.
void set_chain_counters(const CudaStream& stream, const RandomStream& noise, std::uint32_t step,
                        std::uint32_t first_chain, std::int64_t chains, ChainCounter* counters);
#endif

}  // namespace ebm
