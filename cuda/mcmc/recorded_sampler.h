// Long chains from a learned energy, with the energy and gradient of every step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "cuda/device/array.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// Chains after so many steps: all that their next ones depend on besides the settings.
struct RecordedChains {
  std::int64_t steps = 0;
  std::vector<float> states;  ///< chains × state size
  // Of these states; of no meaning before the first step.
  std::vector<float> f;          ///< one a chain
  std::vector<float> gradients;  ///< chains × state size
};

/// Samples p ∝ exp(−U), U = f/T: unadjusted, x ← x − s·∇f + εz with s = (ε²/2)/T, or 1/T when ε = 0
/// (which follows −∇U down), or by MALA. The chains are a function of seed, settings and starting
/// states: the same bits however the steps are divided into calls, and for any number of threads.
class RecordedSampler {
 public:
  struct Settings {
    bool mala = false;
    float epsilon = 0;  ///< above 0 for MALA
    float temperature = 1;
    std::uint64_t seed = 0;
    std::uint32_t stream = 0;  ///< which of the seed's streams of random numbers
    /// A box for every component: Langevin's steps put it back to the border, MALA's are
    /// reflected from it.
    std::optional<std::pair<float, float>> clamp{};
  };

  /// Steps whose records are kept where the energy computes: enough that launching them as one
  /// graph takes no part in a step's time.
  static constexpr int kStepsAtOnce = 50;

  /// `energy` is borrowed; its θ must not change from the first run on.
  RecordedSampler(Energy& energy, const Settings& settings, std::int64_t chains);

  /// chains × state size, where the energy computes. To be filled before the first run, then left
  /// alone.
  float* states() { return states_.data(); }
  /// The host's copy of them. Valid until the next call; waits.
  std::span<const float> read_states();

  /// Reads the chains as they are, and waits.
  RecordedChains read_chains();
  /// Goes on with chains that a sampler of the same energy and settings has read: to the same bits.
  /// Waits.
  void go_on_with(const RecordedChains& chains);

  /// Runs the next `steps` steps of every chain, and waits.
  void run(int steps) { run(steps, nullptr, nullptr); }
  /// With the host's random numbers in place of the sampler's, for tests: steps × chains × state
  /// size, and MALA's steps × chains.
  void run(int steps, const float* given_noise, const float* given_uniforms);

  /// Gives the queue the next steps, at most kStepsAtOnce, of MALA, each with the ε and T that
  /// `schedule` has for it, where the energy computes. Their records stay there, and go by the
  /// settings' ε and T.
  void run_there(int steps, const MalaStep* schedule);
  /// U of the last steps, steps × chains, where the energy computes.
  const float* energies_there() const { return energies_there_.data(); }
  /// Fetches the last steps' records, so many, for energies() and the others. Waits.
  void read_records(int steps);

  /// Steps run so far.
  std::int64_t steps() const { return steps_; }

  // Of the last run(), steps × chains; the state is the one before the step.
  /// U.
  std::span<const float> energies() const { return energies_; }
  /// (ε²/2)‖∇U‖, or ‖∇U‖ when ε = 0.
  std::span<const float> gradient_norms() const { return gradient_norms_; }
  /// MALA: 1 where a step was accepted, else 0.
  std::span<const float> accepted() const { return accepted_; }

  /// MALA: the logarithms of the last step's acceptance ratios, one a chain. Waits.
  std::vector<float> log_ratios() const;

 private:
  ChainRun next_steps(int steps) const;
  void make_room(int steps);
  void launch(int steps, const MalaStep* schedule, const float* noise, const float* uniforms);
  void read_block(int steps, std::size_t done);

  Energy& energy_;
  Queue queue_;
  Settings settings_;
  std::int64_t chains_;
  std::int64_t steps_ = 0;
  Array<float> states_;
  Array<float> f_;
  Array<float> gradients_;
  // MALA.
  Array<float> momenta_;
  Array<float> proposals_;
  Array<float> proposal_f_;
  Array<float> proposal_gradients_;
  Array<float> log_ratios_;
  Array<MalaStep> schedule_;  // the last steps', at an address that graphs know
  // Records of some steps, where the energy computes.
  Array<float> energies_there_;
  Array<float> gradient_norms_there_;
  Array<float> accepted_there_;
  // The host's: of the last run, and the states.
  std::vector<float> energies_;
  std::vector<float> gradient_norms_;
  std::vector<float> accepted_;
  std::vector<float> states_here_;
};

/// A bound on the memory that it takes on a device besides its energy, bytes.
std::size_t recorded_sampler_bytes(bool mala, std::int64_t chains, std::int64_t state_size);

}  // namespace ebm
