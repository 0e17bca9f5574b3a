#include "cuda/mcmc/initial_states.h"

#include <cassert>

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

void draw_noise_states(InitialStates init, const RandomStream& stream, float noise_factor,
                       std::int64_t state_size, std::span<float> states) {
  assert(init == InitialStates::uniform || init == InitialStates::gaussian);
  const auto fill =
      init == InitialStates::uniform
          ? static_cast<void (*)(const RandomStream&, float, std::int64_t, std::int64_t, float*)>(
                fill_uniform)
          : fill_normal;
  fill(stream, noise_factor, std::ssize(states) / state_size, state_size, states.data());
}

void draw_initial_states(InitialStates init, DataUse use, std::uint64_t seed,
                         std::uint32_t iteration, float noise_factor, DataBatches& data,
                         const PersistentBank* bank, std::span<float> states) {
  switch (init) {
    case InitialStates::persistent:
      bank->peek(rows_purpose(use), iteration, states);
      break;
    case InitialStates::data:
      data.draw(use, iteration, states);
      break;
    case InitialStates::uniform:
    case InitialStates::gaussian:
      draw_noise_states(init, {seed, states_purpose(use), iteration}, noise_factor,
                        data.state_size(), states);
      break;
  }
}

}  // namespace ebm
