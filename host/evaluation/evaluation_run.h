// The evaluation of a network: everything that its energy is asked, in order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/diagnostics/principal_components.h"
#include "cuda/mcmc/recorded_sampler.h"
#include "cuda/nn/energy.h"
#include "host/config/config.h"
#include "host/evaluation/evaluation.h"
#include "host/evaluation/evaluation_data.h"
#include "host/evaluation/feature_space.h"
#include "host/evaluation/log_partition.h"
#include "host/evaluation/long_chains.h"
#include "host/training/checkpoint.h"
#include "host/training/compute_device.h"
#include "host/training/interruption.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

namespace ebm {

/// One evaluation, from the configuration to the files of its folder:
///
///     config.yaml  environment.json  log.txt  network.safetensors, a copy
///     evaluation.json                         see to_json(Evaluation)
///     energy_NAME.npy, gradient_NAME.npy, projections_NAME.npy, chains_NAME.safetensors
///                                             long chains, NAME data, noise, bank and released:
///                                             see LongChains
///     directions.npy                          of the projections
///     states_NAME.npy, x_NAME.png             their last states, and those of short_run; of images
///     bank.npy                                rows of the run's bank
///     annealing_path.npy, log_weights_forward.npy, log_weights_reverse.npy
///                                             see LogPartitionEstimate
///     energy_of_chains.csv, log_weights.csv   and energy_of_chains.png, log_weights.png, their .gp
///
/// A function of configuration, network, bank and record alone: the same bits on one machine for
/// any number of threads, and however often it was stopped on its way.
class EvaluationRun {
 public:
  /// `run` is the folder of the network's run, or empty. All but the configuration is borrowed.
  /// Throws InputFileError for data, ConfigurationError for a box that does not hold them.
  EvaluationRun(const EvaluateConfig& config, const Checkpoint& checkpoint,
                std::filesystem::path run, const RunFolder& folder, RunLog& log,
                StopRequest stop = never_asked_to_stop, const ComputeDevice& device = {});

  /// All that is left to do. Returns nothing when it was asked to stop and has saved its state.
  /// Throws Divergence when an energy is not finite.
  std::optional<Verdict> run();

 private:
  std::optional<Verdict> evaluate();

  /// Chains of one start.
  struct Start {
    std::string name;
    std::unique_ptr<LongChains> chains;
  };

  double choose_step_size();
  double step_size_near_data();
  bool run_long_chains();
  LongChainSettings chain_settings() const;
  bool run_start(const std::string& name, const std::string& what, std::uint32_t stream,
                 const LongChains::Start& start);
  bool release_from_box();
  bool run_short_chains();
  void describe_chains();
  void measure_likelihood();
  void measure_kl();
  void compare_with_data();

  LongChains& chains_of(const std::string& name);
  void fill(std::span<const float> from, float* states);
  void write_states(const std::string& name, std::span<const float> states);
  void draw_plots();

  EvaluateConfig config_;
  std::filesystem::path run_;
  std::filesystem::path folder_;
  RunLog& log_;
  StopRequest stop_;
  Shape shape_;
  std::unique_ptr<Energy> energy_;
  EvaluationData data_;
  PrincipalComponents components_;  ///< of the data
  FeatureSpace space_;
  std::vector<float> bank_;
  BoxedEnergy box_;
  std::unique_ptr<LogPartitionEstimate> log_z_;
  double epsilon_ = 0;  ///< of the long chains
  std::vector<float> directions_;
  std::vector<Start> starts_;
  std::vector<float> short_run_;
  Evaluation found_;
};

}  // namespace ebm
