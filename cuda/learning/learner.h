// Algorithm 1 of the paper, on either device.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "cuda/device/array.h"
#include "cuda/kernels/max_abs.cuh"
#include "cuda/learning/energy_difference.h"
#include "cuda/learning/iteration_ring.h"
#include "cuda/learning/learning_limits.cuh"
#include "cuda/learning/optimizer.h"
#include "cuda/mcmc/chain_runner.h"
#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/initial_states.h"
#include "cuda/mcmc/persistent_bank.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// What an iteration changes; the host's.
struct LearnerState {
  Buffer<float> theta;
  OptimizerState optimizer;
  Buffer<float> bank;  ///< rows × state size; of init: persistent only
};

/// What stays the same from one iteration to the next.
struct LearnerSettings {
  float epsilon = 0;
  int steps = 0;                                   ///< L
  std::optional<std::pair<float, float>> clamp{};  ///< of every component after each step
  InitialStates init = InitialStates::persistent;
  float noise_factor = 1;  ///< of uniform and Gaussian starts
  std::int64_t batch_size = 0;
  LearningLimits limits{};
};

/// Maximum-likelihood learning by MCMC, one iteration after the other. Data, bank, θ, optimizer and
/// chains are where the energy computes; the host only gives its queue work, and on a device is a
/// few slices of sampling ahead of it.
///
/// An iteration whose numbers are beyond the limits ends learning: bank, and (unless it is the
/// weights that are) θ and the optimizer stay as they were before it, and iterations that have been
/// begun after it leave no trace.
class Learner {
 public:
  /// Energy and data are borrowed, and work in the order of one queue. The energy takes a batch in
  /// one call. θ has so many parameters.
  Learner(Energy& energy, std::int64_t parameters, const LearnerSettings& settings,
          DataBatches& data);

  /// Goes on from `state`, whose random numbers are those of `seed`. Borrowed, and up to date only
  /// after synchronize(), until the next begin().
  void begin(LearnerState& state, std::uint64_t seed);
  std::uint64_t seed() const { return seed_; }

  /// The next iteration. Now and then asks whether to give it up, and if so returns false and
  /// leaves everything as it was before it. A device may still be at work on it, and on some before
  /// it, afterwards.
  bool iterate(const Iteration& iteration, const std::function<bool()>& give_up);

  /// See IterationRing::read(). To be called after every iteration.
  std::span<const IterationResult> results(bool all);

  /// Brings the borrowed state up to date with the last iteration begun.
  void synchronize();
  /// X⁻ of the last iteration, after its Langevin steps: the host's copy. Waits.
  std::span<const float> read_chains();

  /// Its Langevin steps, from this one on; for diagnostics too.
  ChainRun langevin_steps(const RandomStream& noise, int steps, std::uint32_t first_step = 0) const;
  /// Where chains start, drawn where the energy computes; for diagnostics those of another use.
  void draw_starts(InitialStates init, DataUse use, std::uint32_t iteration, const Shard& shard,
                   float* states);

 private:
  LearnerSettings settings_;
  Energy& energy_;
  Queue queue_;
  DataBatches& data_;
  ChainRunner runner_;
  Shard shard_;  // of the batch: all of it

  LearnerState* state_ = nullptr;
  std::uint64_t seed_ = 0;
  Mirror<float> theta_;
  std::optional<Optimizer> optimizer_;
  std::optional<PersistentBank> bank_;

  Array<float> batch_;   // X⁺
  Array<float> chains_;  // X⁻
  Array<float> norm_sums_;
  EnergyDifference energy_difference_;
  MaxAbs max_abs_;
  Array<float> largest_weight_;
  IterationRing ring_;
  Buffer<float> chains_here_;
};

/// A bound on the memory that a learner takes on a device besides its energy, bytes: `parameters`
/// are θ's, `data_values` those of the training set, `bank_rows` those of a persistent bank.
std::size_t learner_bytes(const LearnerSettings& settings, std::int64_t state_size,
                          std::int64_t parameters, bool adam, std::int64_t data_values,
                          std::int64_t bank_rows);

}  // namespace ebm
