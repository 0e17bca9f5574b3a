// Long chains from a fixed energy, every step recorded: Langevin dynamics or MALA.
#pragma once

#include <cstdint>

#include "cuda/kernels/mala.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

class TileEnergy;

/// Some steps of sampling p ∝ exp(−U), U = f/T. Unadjusted, x ← x − s·∇f + εz with s = (ε²/2)/T,
/// or 1/T when ε = 0 (which follows −∇U down); or the steps of MalaUpdate.
struct SamplingSteps {
  bool mala = false;
  float epsilon = 0;
  float temperature = 1;
  RandomStream noise;  ///< z, or MALA's momenta
  RandomStream uniforms;
  std::uint32_t first_step = 0;
  int steps = 0;
  /// MALA: f and gradients are those of the states already, so that a step is one evaluation.
  bool evaluated = false;
  /// Replace the draws when not null, for tests: steps × chains × state size, steps × chains.
  const float* given_noise = nullptr;
  const float* given_uniforms = nullptr;

  /// s.
  float gradient_scale() const {
    return epsilon > 0 ? epsilon * epsilon / (2 * temperature) : 1 / temperature;
  }
};

/// A batch of chains and what is recorded of them; borrowed memory. Unadjusted steps leave the
/// pointers to proposals alone.
struct SamplingChains {
  std::int64_t count = 0;
  MalaChains memory;
  // Of every step, steps × count. The state is the one before the step.
  float* energies = nullptr;        ///< U
  float* gradient_norms = nullptr;  ///< s·‖∇f‖, the length of the step's deterministic part
  float* accepted = nullptr;        ///< MALA: 1 when the step was accepted, else 0
};

/// Runs the chains [first, first + chains) of a batch on one thread, for Energy::sample.
void sample_by_steps(TileEnergy& energy, const SamplingSteps& run, const SamplingChains& batch,
                     std::int64_t first, int chains);

}  // namespace ebm
