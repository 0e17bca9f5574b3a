#include "cuda/nn/tile_energy.h"

namespace ebm {

void langevin_by_steps(TileEnergy& energy, const LangevinSteps& run, std::uint32_t first_chain,
                       int chains, std::span<float> f, std::span<float> gradients, float* states,
                       float* norm_sums) {
  const std::int64_t size = energy.state_size();
  LangevinUpdate update = run.update;
  for (int step = 0; step < run.steps; ++step, ++update.step) {
    energy.energies_and_gradients(states, chains, f.data(), gradients.data());
    const float* noise = run.given_noise == nullptr
                             ? nullptr
                             : run.given_noise + (step * run.noise_chains + first_chain) * size;
    langevin_update(update, first_chain, chains, size, gradients.data(), noise, states, norm_sums);
  }
}

}  // namespace ebm
