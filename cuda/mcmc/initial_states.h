// Where chains start.
#pragma once

#include <cstdint>

#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/persistent_bank.h"

namespace ebm {

enum class InitialStates { persistent, data, uniform, gaussian };

/// What chains start from, where a queue computes. Data and bank are borrowed; the bank is needed
/// for persistent starts only.
struct Starts {
  InitialStates init = InitialStates::persistent;
  float noise_factor = 1;  ///< of uniform and Gaussian starts
  std::uint64_t seed = 0;
  DataBatches* data = nullptr;
  PersistentBank* bank = nullptr;

  /// Fills `states`, a pure function of (seed, use, iteration) and of what bank and data hold.
  /// Training's own persistent chains (DataUse::initial_states) are to be put back; those of other
  /// uses are copied and forgotten.
  void draw(const Queue& queue, DataUse use, std::uint32_t iteration, const Shard& shard,
            float* states) const;
};

}  // namespace ebm
