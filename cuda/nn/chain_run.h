// Chains at fixed θ, some steps of them, and what is kept of each step.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "cuda/kernels/langevin_update.cuh"
#include "cuda/kernels/mala.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

/// Some steps: of LangevinUpdate, or of MalaUpdate, for p ∝ exp(−U), U = f/T.
struct ChainRun {
  bool mala = false;
  /// The first step. Of MALA: its ε, its number, its box, and as noise the momenta's stream.
  LangevinUpdate update{};
  RandomStream uniforms{};  ///< MALA's decisions
  float temperature = 1;    ///< T of MALA and of what is recorded
  int steps = 0;
  bool evaluated = false;  ///< f and gradients are those of the states already: for MALA

  MalaUpdate mala_update() const {
    return {.epsilon = update.epsilon,
            .temperature = temperature,
            .momenta = update.noise,
            .uniforms = uniforms,
            .step = update.step,
            .lowest = update.lowest,
            .highest = update.highest};
  }
};

/// A batch of chains, numbered in the random streams from `first`; its memory, which is borrowed
/// and where the energy computes. Langevin steps that are not recorded need states and norm_sums;
/// recorded ones states, f, gradients and records; MALA's, always recorded, all memory.
struct Chains {
  std::int64_t count = 0;
  std::uint32_t first = 0;
  ChainMemory memory{};
  float* norm_sums = nullptr;  ///< each chain's Σ_steps ‖∇ₓf‖ is added: of Langevin, not recorded

  /// Records of every step, steps × chains, of the state before it: all that the kind of steps has,
  /// or none.
  float* energies = nullptr;        ///< U
  float* gradient_norms = nullptr;  ///< s·‖∇f‖, the length of the step's deterministic part
  float* accepted = nullptr;        ///< MALA: 1 when the step was accepted, else 0
  /// MALA, where not null: ε and T of every step in place of the run's. Records go by the run's.
  const MalaStep* schedule = nullptr;
  /// In place of what would be drawn, for tests: steps × chains × state size, steps × chains.
  const float* given_noise = nullptr;
  const float* given_uniforms = nullptr;
  /// Chains in a step's row of these, when they are more than `count`.
  std::int64_t row = 0;

  bool recorded() const { return energies != nullptr; }
  std::int64_t row_chains() const { return row == 0 ? count : row; }

  /// `some` of the chains, from the one at `at`.
  Chains part(std::int64_t at, std::int64_t some, std::int64_t state_size) const {
    const auto move = [](auto* values, std::int64_t by) {
      return values == nullptr ? nullptr : values + by;
    };
    const std::int64_t value = at * state_size;
    return {.count = some,
            .first = first + static_cast<std::uint32_t>(at),
            .memory = {.states = move(memory.states, value),
                       .f = move(memory.f, at),
                       .gradients = move(memory.gradients, value),
                       .momenta = move(memory.momenta, value),
                       .proposals = move(memory.proposals, value),
                       .proposal_f = move(memory.proposal_f, at),
                       .proposal_gradients = move(memory.proposal_gradients, value),
                       .log_ratios = move(memory.log_ratios, at)},
            .norm_sums = move(norm_sums, at),
            .energies = move(energies, at),
            .gradient_norms = move(gradient_norms, at),
            .accepted = move(accepted, at),
            .schedule = schedule,
            .given_noise = move(given_noise, value),
            .given_uniforms = move(given_uniforms, at),
            .row = row_chains()};
  }

  /// The run's update with a step's ε and T.
  MalaUpdate scheduled(MalaUpdate update, int step) const {
    update.given = schedule == nullptr ? nullptr : schedule + step;
    return update;
  }

  /// A step's row of one of the arrays above, of `width` values a chain.
  template <class Value>
  Value* row_of(Value* values, int step, std::int64_t width = 1) const {
    return values == nullptr ? nullptr : values + step * row_chains() * width;
  }
};

/// Throws std::invalid_argument for steps of MALA that are not recorded: there are none.
inline void require_recorded_mala(const ChainRun& run, const Chains& chains) {
  if (run.mala && !chains.recorded()) {
    throw std::invalid_argument("steps of MALA are recorded");
  }
}

}  // namespace ebm
