#include "cuda/nn/cpu/tile_energy.h"

#include <algorithm>

namespace ebm {
namespace {

/// A tile of chains on its way, every step recorded.
class RecordedTile {
 public:
  RecordedTile(TileEnergy& energy, const ChainRun& run, const Chains& chains)
      : energy_(energy),
        run_(run),
        chains_(chains),
        count_(static_cast<int>(chains.count)),
        size_(energy.state_size()) {}

  void langevin() {
    const ChainMemory& mine = chains_.memory;
    LangevinUpdate update = run_.update;
    for (int step = 0; step < run_.steps; ++step, ++update.step) {
      energy_.energies_and_gradients(mine.states, count_, mine.f, mine.gradients);
      record_energies(step);
      float* norms = chains_.row_of(chains_.gradient_norms, step);
      std::fill_n(norms, count_, 0.0F);
      langevin_update(update, chains_.first, count_, size_, mine.gradients,
                      chains_.row_of(chains_.given_noise, step, size_), mine.states, norms);
      scale(norms, update.gradient_scale);
    }
  }

  void mala() {
    const ChainMemory& mine = chains_.memory;
    MalaUpdate update = run_.mala_update();
    if (!run_.evaluated) {
      energy_.energies_and_gradients(mine.states, count_, mine.f, mine.gradients);
    }
    for (int step = 0; step < run_.steps; ++step, ++update.step) {
      record_energies(step);
      float* norms = chains_.row_of(chains_.gradient_norms, step);
      const MalaUpdate now = chains_.scheduled(update, step);
      mala_propose(now, chains_.first, count_, size_,
                   chains_.row_of(chains_.given_noise, step, size_), mine, norms);
      scale(norms, update.gradient_scale());
      energy_.energies_and_gradients(mine.proposals, count_, mine.proposal_f,
                                     mine.proposal_gradients);
      mala_decide(now, chains_.first, count_, size_, chains_.row_of(chains_.given_uniforms, step),
                  mine, chains_.row_of(chains_.accepted, step));
    }
  }

 private:
  void record_energies(int step) {
    float* energies = chains_.row_of(chains_.energies, step);
    for (int c = 0; c < count_; ++c) {
      energies[c] = chains_.memory.f[c] / run_.temperature;
    }
  }
  void scale(float* norms, float factor) const {
    for (int c = 0; c < count_; ++c) {
      norms[c] *= factor;
    }
  }

  TileEnergy& energy_;
  const ChainRun& run_;
  const Chains& chains_;
  int count_;
  std::int64_t size_;
};

}  // namespace

void TileEnergy::langevin(const ChainRun& run, const Chains& chains) {
  const std::int64_t size = state_size();
  const auto count = static_cast<int>(chains.count);
  if (std::ssize(step_energies_.span()) < chains.count) {
    step_energies_ = Buffer<float>(static_cast<std::size_t>(chains.count));
    step_gradients_ = Buffer<float>(static_cast<std::size_t>(chains.count * size));
  }
  LangevinUpdate update = run.update;
  for (int step = 0; step < run.steps; ++step, ++update.step) {
    energies_and_gradients(chains.memory.states, count, step_energies_.data(),
                           step_gradients_.data());
    langevin_update(update, chains.first, count, size, step_gradients_.data(),
                    chains.row_of(chains.given_noise, step, size), chains.memory.states,
                    chains.norm_sums);
  }
}

void run_recorded(TileEnergy& energy, const ChainRun& run, const Chains& chains) {
  RecordedTile tile(energy, run, chains);
  if (run.mala) {
    tile.mala();
  } else {
    tile.langevin();
  }
}

}  // namespace ebm
