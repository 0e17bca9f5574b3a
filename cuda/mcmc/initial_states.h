// Where chains start.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/persistent_bank.h"
#include "cuda/random/philox.cuh"

namespace ebm {

enum class InitialStates { persistent, data, uniform, gaussian };

/// The stream of chains that start from noise.
Purpose states_purpose(DataUse use);

/// Fills `states` with starts for a use other than training's own, whose persistent chains would
/// have to be put back: rows of the bank are copied and forgotten. `noise_factor` multiplies
/// uniform and Gaussian starts. `bank` is needed for persistent ones only. A pure function of
/// (seed, use, iteration) and of what bank and data hold.
void draw_initial_states(InitialStates init, DataUse use, std::uint64_t seed,
                         std::uint32_t iteration, float noise_factor, DataBatches& data,
                         const PersistentBank* bank, std::span<float> states);

}  // namespace ebm
