#include "cuda/mcmc/initial_states.h"

#include "cuda/kernels/random_states.cuh"

namespace ebm {

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

void draw_initial_states(InitialStates init, DataUse use, std::uint64_t seed,
                         std::uint32_t iteration, float noise_factor, DataBatches& data,
                         const PersistentBank* bank, std::span<float> states) {
  const RandomStream noise{seed, states_purpose(use), iteration};
  const std::int64_t count = std::ssize(states) / data.state_size();
  switch (init) {
    case InitialStates::persistent:
      bank->peek(rows_purpose(use), iteration, states);
      break;
    case InitialStates::data:
      data.draw(use, iteration, states);
      break;
    case InitialStates::uniform:
      fill_uniform(noise, noise_factor, count, data.state_size(), states.data());
      break;
    case InitialStates::gaussian:
      fill_normal(noise, noise_factor, count, data.state_size(), states.data());
      break;
  }
}

}  // namespace ebm
