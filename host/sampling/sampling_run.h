// Long chains from a saved network.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cuda/mcmc/recorded_sampler.h"
#include "host/config/config.h"
#include "host/files/npy_rows.h"
#include "host/output/plot.h"
#include "host/output/sampling_plots.h"
#include "host/sampling/acceptance.h"
#include "host/sampling/sampling_state.h"
#include "host/training/checkpoint.h"
#include "host/training/compute_device.h"
#include "host/training/interruption.h"
#include "host/training/progress.h"
#include "host/training/run_folder.h"
#include "host/training/run_log.h"

namespace ebm {

/// The network that a configuration samples from, which is `file`. Throws InputFileError for the
/// file, ConfigurationError when file and configuration do not agree on what it holds.
Checkpoint load_saved_network(const SampleConfig& config, const std::filesystem::path& file);

/// One sampling run, from the configuration to the files of its folder:
///
///     config.yaml  environment.json  log.txt  network.safetensors, a copy
///     energy.npy  gradient.npy       steps × chains: U and (ε²/2)‖∇U‖ of the state before a step
///     acceptance.npy                 MALA, steps: the share of chains that accepted
///     steps.csv  energy.png  gradient.png  acceptance.png, and their .gp
///     states_first.npy  states_last.npy       chains × channels × height × width
///     x_first.png  x_last.png  states/x_000500.png          images
///     states.npy          toy: the start and every log point, … × chains × 2
///     state.safetensors   of the last log point, or where the run was stopped
///
/// The arrays are files that grow, so a run of any length takes little memory, and they can be read
/// while it goes on. A function of the configuration and the network alone: the same bits on one
/// machine for any number of threads, and however often the run was stopped on its way.
class SamplingRun {
 public:
  /// Goes on from the state in the folder, if there is one; cuts the arrays back to it. Else reads
  /// the data or states that chains start from. Throws InputFileError for any of them,
  /// ConfigurationError when they are too few; OutputError when the disk has no room for the
  /// arrays. Folder and log are borrowed. Warns of a box that is not the training's.
  SamplingRun(const SampleConfig& config, const Checkpoint& checkpoint, const RunFolder& folder,
              RunLog& log, StopRequest stop = never_asked_to_stop,
              const ComputeDevice& device = {});

  /// Steps done so far, by earlier processes as well.
  std::int64_t steps() const { return sampler_->steps(); }

  /// All steps that are left. Returns false when it was asked to stop and has saved its state.
  /// Throws Divergence as soon as an energy, gradient or state is not finite, with everything up to
  /// there in the files; OutputError when a file cannot be written.
  bool run();

 private:
  void begin();
  void take_steps(std::int64_t steps);
  void save();
  /// Appends the records of the sampler's last steps, as many as are given.
  void record(std::int64_t steps);
  void require_finite();
  void report();
  void write_states(const std::filesystem::path& path);
  /// Returns how many components are outside [−1, 1].
  std::size_t write_grid(const std::filesystem::path& path);
  std::string line(double elapsed, bool mark);
  std::string describe_mixing() const;

  SampleConfig config_;
  const RunFolder& folder_;
  RunLog& log_;
  StopRequest stop_;
  Shape shape_;
  SamplingState resumed_;  // until the sampler has it
  std::unique_ptr<Energy> energy_;
  std::optional<RecordedSampler> sampler_;

  PlotQueue plots_;
  NpyRows energies_;
  NpyRows gradient_norms_;
  std::optional<NpyRows> acceptance_;  // MALA
  std::optional<NpyRows> toy_states_;  // toy
  SamplingPlots summary_;
  AcceptanceWatch acceptance_watch_;
  std::int64_t most_at_once_;  // steps
  // Since the last line of the log: sums of each step's mean over the chains.
  std::int64_t in_line_ = 0;
  std::array<double, 3> line_sums_{};
  Pace pace_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace ebm
