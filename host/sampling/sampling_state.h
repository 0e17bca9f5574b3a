// All that a sampling run's next steps depend on besides its configuration and network.
#pragma once

#include <cstdint>
#include <filesystem>

#include "cuda/mcmc/recorded_sampler.h"

namespace ebm {

struct SamplingState {
  RecordedChains chains;
  // Of a toy network's run: the snapshots recorded, and whether the last is one that a longer run
  // does not have, of an end between two log points.
  std::int64_t snapshots = 0;
  bool last_is_of_end = false;
};

/// Writes a state, with a digest, as safetensors with the numbers in the metadata. The file appears
/// whole or not at all. Throws OutputError.
void save_state(const std::filesystem::path& path, const SamplingState& state);

/// Reads the state of so many chains: the same bits as were saved. Throws InputFileError when the
/// file is damaged or of another kind of run.
SamplingState load_sampling_state(const std::filesystem::path& path, std::int64_t chains,
                                  std::int64_t state_size);

}  // namespace ebm
