// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel Random
// Numbers: As Easy as 1, 2, 3" (SC 2011): cuRAND's on the GPU, Random123's on the CPU; the same
// bits on both, because both are the published function.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"

#ifdef __CUDA_ARCH__
#include <curand_philox4x32_x.h>
#else
#include <Random123/philox.h>
#endif

namespace ebm {

/// Four independent 32-bit words.
struct Words4 {
  std::uint32_t v[4];
};

/// Philox4x32-10 of a 128-bit counter under a 64-bit key.
EBM_HOST_DEVICE Words4 philox(const Words4& counter, std::uint64_t key) {
  const auto low = static_cast<std::uint32_t>(key);
  const auto high = static_cast<std::uint32_t>(key >> 32);
#ifdef __CUDA_ARCH__
  const uint4 out = curand_Philox4x32_10(
      make_uint4(counter.v[0], counter.v[1], counter.v[2], counter.v[3]), make_uint2(low, high));
  return {{out.x, out.y, out.z, out.w}};
#else
  const r123::Philox4x32::ctr_type out =
      r123::Philox4x32{}({{counter.v[0], counter.v[1], counter.v[2], counter.v[3]}}, {{low, high}});
  return {{out.v[0], out.v[1], out.v[2], out.v[3]}};
#endif
}

/// What a random number is for. Streams of different purposes never overlap. The values are part of
/// what makes a run reproducible: add at the end, never renumber.
enum class Purpose : std::uint32_t {
  parameters = 0,      ///< initial weights; iteration = tensor index, chain = output
  bank = 1,            ///< initial states of the persistent bank; chain = row
  data_rows = 2,       ///< which training images make a batch
  data_noise = 3,      ///< noise added to a data batch
  toy_data = 4,        ///< draws from a toy density
  bank_rows = 5,       ///< which bank rows start a batch of chains
  initial_states = 6,  ///< noise-initialized chains
  langevin = 7,        ///< noise of short-run Langevin steps
  initial_rows = 8,    ///< which training images start chains (init: data)
  initial_noise = 9,   ///< noise added to those
  longrun_rows = 10,
  longrun_noise = 11,
  longrun_states = 12,
  longrun_langevin = 13,
  landscape_rows = 14,
  landscape_states = 15,
  landscape_langevin = 16,
  sampling_states = 17,    ///< starts of ebm_sample's chains; iteration 0, and others of annealing
  sampling_rows = 18,      ///< which training images start them
  sampling_noise = 19,     ///< noise added to those
  sampling_langevin = 20,  ///< noise of its unadjusted steps
  sampling_momentum = 21,  ///< momenta of its MALA proposals
  sampling_uniform = 22,   ///< which of these are accepted
  rollback = 23,           ///< the seed after a rollback; iteration = rollbacks so far
  scoring_noise = 24,      ///< noise of ebm_score's copies; iteration = draw, chain = state
  principal_components = 25,  ///< where their iteration starts; chain = dimension
  projections = 26,           ///< directions along which chains are recorded; chain = direction
};

/// A stream of random words: a pure function of (seed, purpose, iteration), indexed by
/// (step, chain, component). Nothing is stored, so a run can start anywhere in it.
struct RandomStream {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::parameters;
  std::uint32_t iteration = 0;

  /// The words of components 4·group … 4·group+3 (group < 2^24) of one chain at one step.
  EBM_HOST_DEVICE Words4 words(std::uint32_t step, std::uint32_t chain, std::uint32_t group) const {
    return philox({{(static_cast<std::uint32_t>(purpose) << 24) | group, chain, step, iteration}},
                  seed);
  }
  bool operator==(const RandomStream&) const = default;
};

}  // namespace ebm
