// Long chains from a learned energy, with the energy and gradient of every step.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/buffer.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// Samples p ∝ exp(−U), U = f/T, by Langevin dynamics or MALA; see SamplingSteps. The chains are a
/// function of seed, settings and starting states: the same bits however the steps are divided into
/// calls, and for any number of threads.
class RecordedSampler {
 public:
  struct Settings {
    bool mala = false;
    float epsilon = 0;  ///< above 0 for MALA
    float temperature = 1;
    std::uint64_t seed = 0;
  };

  /// `chains` states of zeros. `energy` is borrowed; its θ must not change from the first run on.
  RecordedSampler(Energy& energy, const Settings& settings, std::int64_t chains);

  /// chains × state size. To be filled before the first run, then left alone.
  std::span<float> states() { return states_.span(); }
  std::span<const float> states() const { return states_.span(); }

  /// Runs the next `steps` steps of every chain.
  void run(int steps) { run(steps, nullptr, nullptr); }
  /// With random numbers from outside (see SamplingSteps), for tests.
  void run(int steps, const float* given_noise, const float* given_uniforms);

  /// Steps run so far.
  std::int64_t steps() const { return steps_; }

  // Of the last run(), steps × chains; the state is the one before the step.
  /// U.
  std::span<const float> energies() const { return energies_.span(); }
  /// (ε²/2)‖∇U‖, or ‖∇U‖ when ε = 0.
  std::span<const float> gradient_norms() const { return gradient_norms_.span(); }
  /// MALA: 1 where a step was accepted, else 0.
  std::span<const float> accepted() const { return accepted_.span(); }

  /// MALA: the logarithms of the last step's acceptance ratios, one a chain.
  std::span<const float> log_ratios() const { return log_ratios_.span(); }

 private:
  Energy& energy_;
  Settings settings_;
  std::int64_t chains_;
  std::int64_t steps_ = 0;
  Buffer<float> states_;
  Buffer<float> f_;
  Buffer<float> gradients_;
  // MALA.
  Buffer<float> momenta_;
  Buffer<float> proposals_;
  Buffer<float> proposal_f_;
  Buffer<float> proposal_gradients_;
  Buffer<float> log_ratios_;
  // Records of the last run.
  Buffer<float> energies_;
  Buffer<float> gradient_norms_;
  Buffer<float> accepted_;
};

}  // namespace ebm
