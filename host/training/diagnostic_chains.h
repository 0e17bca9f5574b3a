// Chains that show what a run has learned. They leave no trace in it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "cuda/base/buffer.h"
#include "cuda/kernels/gaussian_kde.h"
#include "cuda/learning/learner.h"
#include "cuda/mcmc/chain_runner.h"
#include "host/config/config.h"
#include "host/training/interruption.h"
#include "host/training/training_state.h"

namespace ebm {

/// Chains by the learner's Langevin steps, from starts as its own are, with random numbers that are
/// a function of the learner's seed and the iteration.
class DiagnosticChains {
 public:
  /// All is borrowed. `bank_rows`: of a persistent bank, from which a landscape's chains are drawn
  /// without replacement.
  DiagnosticChains(const TrainConfig& config, std::int64_t bank_rows, Energy& energy,
                   Learner& learner);

  /// Those of a landscape: landscape.kde.chains, or as many as the bank has rows.
  std::int64_t landscape_chains() const { return landscape_chains_; }

  /// f of any number of states.
  Buffer<float> energies(std::span<const float> states);

  /// The density of fresh chains after a short run, on the grid that `axis` spans.
  KernelDensity short_run_density(std::int64_t iteration, std::span<const float> axis);

  /// Is given U and (ε²/2)‖∇U‖ of every chain before each of the next steps, steps × chains.
  using Record =
      std::function<void(std::span<const float> energies, std::span<const float> gradient_norms)>;

  /// Takes long-run chains, one for each of a batch, from where `run` has them to the last of their
  /// steps. Returns false when it was stopped on the way; `run` then is what to go on from, with
  /// the same result.
  bool finish(LongRun& run, std::int64_t iteration, const StopRequest& stop, const Record& record);

 private:
  void take_steps(Purpose noise, std::int64_t iteration, int first_step, int steps,
                  std::int64_t chains, float* states);

  const TrainConfig& config_;
  Energy& energy_;
  Learner& learner_;
  ChainRunner runner_;
  std::int64_t landscape_chains_;
};

}  // namespace ebm
