// Long chains of one start, recorded now and then, that can be stopped and go on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/device/array.h"
#include "cuda/mcmc/recorded_sampler.h"
#include "cuda/nn/energy.h"
#include "host/files/npy_rows.h"
#include "host/training/interruption.h"
#include "host/training/run_log.h"

namespace ebm {

/// What chains of all starts have alike.
struct LongChainSettings {
  RecordedSampler::Settings sampler;  ///< but for the stream
  std::int64_t chains = 0;
  std::int64_t steps = 0;
  std::int64_t every = 1;         ///< steps between records
  std::int64_t log_every = 1000;  ///< steps between lines of the log, and states saved
  /// Rows of a state's size along which chains are seen; may be none.
  std::vector<float> directions;
};

/// The files of a start NAME, in a folder:
///
///     energy_NAME.npy, gradient_NAME.npy    records × chains: U and ‖∇U‖
///     projections_NAME.npy                  records × chains × directions
///     chains_NAME.safetensors               what the chains go on from
///
/// A record is of every `every`-th step's state, from the first. The same bits on one machine for
/// any number of threads, and however often the chains were stopped on their way.
class LongChains {
 public:
  /// Fills chains × state size, where the energy computes.
  using Start = std::function<void(float* states)>;

  /// Goes on with the chains in the folder, or, where there are none, starts new ones. `what` is
  /// for the log: "chains from data". The energy, with its θ, and the log are borrowed. Throws
  /// OutputError for files that cannot be written, InputFileError for damaged ones.
  LongChains(const std::filesystem::path& folder, const std::string& name, std::string what,
             const LongChainSettings& settings, std::uint32_t stream, Energy& energy,
             const Start& start, RunLog& log);

  /// All steps that are left. Returns false when it was asked to stop and has saved the chains.
  /// Throws Divergence when an energy or a gradient is not finite.
  bool run(const StopRequest& stop);

  /// The chains as they are. Valid until the next call; waits.
  std::span<const float> states() { return sampler_.read_states(); }
  /// Where the energy computes.
  float* states_there() { return sampler_.states(); }

  /// The records of the second half, which do not remember the start if the first is long enough:
  /// rows of a value a chain. At most 1,000 of them, evenly spaced.
  std::vector<float> energies() const { return second_half(energies_, 1); }
  std::vector<float> gradient_norms() const { return second_half(gradient_norms_, 1); }
  /// Of one direction.
  std::vector<float> projections(std::size_t direction) const;

  /// Of all records, a value each: the mean over the chains and the 10% and 90% quantiles of U.
  struct EnergyLine {
    std::vector<std::int64_t> step;
    std::vector<double> mean;
    std::vector<double> low;
    std::vector<double> high;
  };
  EnergyLine energy_line() const;

  /// The share of proposals accepted since this object was made; 0 before a step, or without MALA.
  double acceptance() const {
    return decided_ == 0 ? 0 : accepted_ / static_cast<double>(decided_);
  }

 private:
  void take_steps();
  void record();
  void save();
  std::vector<float> second_half(const NpyRows& records, std::size_t width) const;

  std::filesystem::path state_;
  std::string what_;
  LongChainSettings settings_;
  Energy& energy_;
  RunLog& log_;
  RecordedSampler sampler_;
  RecordedChains resumed_;  // until the sampler has them
  NpyRows energies_;
  NpyRows gradient_norms_;
  std::optional<NpyRows> projections_;
  Mirror<const float> directions_there_;
  Array<float> projections_there_;
  double accepted_ = 0;
  std::int64_t decided_ = 0;
};

/// `count` directions of length 1 in R^size, uniform: a function of the seed.
std::vector<float> random_directions(std::uint64_t seed, std::int64_t size, int count);

}  // namespace ebm
