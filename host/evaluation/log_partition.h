// log Z by annealed importance sampling, step by step on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/mcmc/annealed_importance.h"
#include "cuda/nn/energy.h"
#include "host/evaluation/evaluation.h"
#include "host/training/interruption.h"
#include "host/training/run_log.h"

namespace ebm {

/// Annealing in one box, with its files in a folder:
///
///     annealing_path.npy                    K × 3: β, ε and T of each step
///     log_weights_forward.npy, log_weights_reverse.npy    a number a chain
///     states_moved.npy                                    where the reverse chains start
///
/// What is there already is read, not made again. Making throws AnnealingStopped when it is asked
/// to stop: the file that was being made is not there then.
class LogPartitionEstimate {
 public:
  /// All is borrowed. `chains` of each direction.
  LogPartitionEstimate(std::filesystem::path folder, Energy& energy, const BoxedEnergy& box,
                       std::int64_t chains, std::int64_t steps, std::uint64_t seed,
                       const StopRequest& stop, RunLog& log);

  /// The path, of which the last step's ε suits exp(−U); chosen by chains of its own. Nothing where
  /// there is none, for the reason that failure() says.
  const std::optional<AnnealingPath>& path();
  const std::string& failure() const { return failure_; }

  /// Both directions; the reverse chains start from `states`, `count` of them where the energy
  /// computes, after annealed_moves().
  void run(const float* states, std::int64_t count);

  /// What came out; nothing where there is no path.
  std::optional<LogPartition> result() const;

  /// log Z by each chain alone.
  std::vector<double> forward_estimates() const;
  std::vector<double> reverse_estimates() const;

 private:
  double log_volume() const;
  std::vector<float> moved_states(const float* states, std::int64_t count);
  template <class Make>
  std::vector<double> weights(const std::string& direction, std::int64_t chains, Make make);

  std::filesystem::path folder_;
  Energy& energy_;
  BoxedEnergy box_;
  std::int64_t chains_;
  std::int64_t steps_;
  std::uint64_t seed_;
  StopAnnealing stop_;
  RunLog& log_;
  std::optional<AnnealingPath> path_;
  std::string failure_;
  std::vector<double> forward_;
  std::vector<double> reverse_;
};

}  // namespace ebm
