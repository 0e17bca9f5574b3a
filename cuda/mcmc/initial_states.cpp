#include "cuda/mcmc/initial_states.h"

#include "cuda/kernels/random_states.cuh"

namespace ebm {
namespace {

/// The stream of chains that start from noise.
Purpose states_purpose(DataUse use) {
  switch (use) {
    case DataUse::longrun:
      return Purpose::longrun_states;
    case DataUse::landscape:
      return Purpose::landscape_states;
    case DataUse::sampling:
      return Purpose::sampling_states;
    case DataUse::batch:
    case DataUse::initial_states:
      return Purpose::initial_states;
  }
  return Purpose::initial_states;
}

}  // namespace

void Starts::draw(const Queue& queue, DataUse use, std::uint32_t iteration, const Shard& shard,
                  float* states) const {
  const RandomStream noise{seed, states_purpose(use), iteration};
  switch (init) {
    case InitialStates::persistent:
      if (use == DataUse::initial_states) {
        bank->draw(iteration, shard, states);
      } else {
        bank->peek(rows_purpose(use), iteration, shard, states);
      }
      break;
    case InitialStates::data:
      data->draw(use, iteration, shard, states);
      break;
    case InitialStates::uniform:
      fill_uniform(queue, noise, noise_factor, shard, data->state_size(), states);
      break;
    case InitialStates::gaussian:
      fill_normal(queue, noise, noise_factor, shard, data->state_size(), states);
      break;
  }
}

}  // namespace ebm
