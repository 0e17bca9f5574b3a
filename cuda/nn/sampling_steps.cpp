#include "cuda/nn/sampling_steps.h"

#include <algorithm>

#include "cuda/kernels/langevin_update.cuh"
#include "cuda/nn/tile_energy.h"

namespace ebm {
namespace {

/// A tile of a batch of chains. Memory that there is none of stays a null pointer.
class Tile {
 public:
  Tile(TileEnergy& energy, const SamplingSteps& run, const SamplingChains& batch,
       std::int64_t first, int chains)
      : energy_(energy), run_(run), batch_(batch), first_(first), chains_(chains) {
    const std::int64_t at = first * size();
    const MalaChains& all = batch.memory;
    mine_.states = all.states + at;
    mine_.f = all.f + first;
    mine_.gradients = all.gradients + at;
    if (run.mala) {
      mine_.momenta = all.momenta + at;
      mine_.proposals = all.proposals + at;
      mine_.proposal_f = all.proposal_f + first;
      mine_.proposal_gradients = all.proposal_gradients + at;
      mine_.log_ratios = all.log_ratios + first;
    }
  }

  void langevin() {
    LangevinUpdate update{.epsilon = run_.epsilon,
                          .gradient_scale = run_.gradient_scale(),
                          .noise = run_.noise,
                          .step = run_.first_step};
    for (int step = 0; step < run_.steps; ++step, ++update.step) {
      energy_.energies_and_gradients(mine_.states, chains_, mine_.f, mine_.gradients);
      record_energies(step);
      float* norms = row(batch_.gradient_norms, step);
      std::fill_n(norms, chains_, 0.0F);
      langevin_update(update, first_chain(), chains_, size(), mine_.gradients,
                      row(run_.given_noise, step, size()), mine_.states, norms);
      scale(norms);
    }
  }

  void mala() {
    MalaUpdate update{.epsilon = run_.epsilon,
                      .temperature = run_.temperature,
                      .momenta = run_.noise,
                      .uniforms = run_.uniforms,
                      .step = run_.first_step};
    if (!run_.evaluated) {
      energy_.energies_and_gradients(mine_.states, chains_, mine_.f, mine_.gradients);
    }
    for (int step = 0; step < run_.steps; ++step, ++update.step) {
      record_energies(step);
      float* norms = row(batch_.gradient_norms, step);
      mala_propose(update, first_chain(), chains_, size(), row(run_.given_noise, step, size()),
                   mine_, norms);
      scale(norms);
      energy_.energies_and_gradients(mine_.proposals, chains_, mine_.proposal_f,
                                     mine_.proposal_gradients);
      mala_decide(update, first_chain(), chains_, size(), row(run_.given_uniforms, step), mine_,
                  row(batch_.accepted, step));
    }
  }

 private:
  std::int64_t size() const { return energy_.state_size(); }
  std::uint32_t first_chain() const { return static_cast<std::uint32_t>(first_); }

  /// This tile's part of a step in a steps × chains × width array; null for no array.
  template <class Value>
  Value* row(Value* values, int step, std::int64_t width = 1) const {
    return values == nullptr ? nullptr : values + (step * batch_.count + first_) * width;
  }

  void record_energies(int step) {
    float* energies = row(batch_.energies, step);
    for (int c = 0; c < chains_; ++c) {
      energies[c] = mine_.f[c] / run_.temperature;
    }
  }

  void scale(float* norms) const {
    for (int c = 0; c < chains_; ++c) {
      norms[c] *= run_.gradient_scale();
    }
  }

  TileEnergy& energy_;
  const SamplingSteps& run_;
  const SamplingChains& batch_;
  std::int64_t first_;
  int chains_;
  MalaChains mine_;
};

}  // namespace

void sample_by_steps(TileEnergy& energy, const SamplingSteps& run, const SamplingChains& batch,
                     std::int64_t first, int chains) {
  Tile tile(energy, run, batch, first, chains);
  if (run.mala) {
    tile.mala();
  } else {
    tile.langevin();
  }
}

}  // namespace ebm
