// What is kept of every step of a training run's long-run chains.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "host/files/npy_rows.h"
#include "host/output/plot.h"

namespace ebm {

/// The records of one long run, in a run's folder `longrun`, as SamplingRun has them:
///
///     energy_005000.npy  gradient_005000.npy      steps × chains: U and (ε²/2)‖∇U‖ of the state
///                                                 before a step
///     steps_005000.csv  energy_005000.png  gradient_005000.png, and their .gp
class LongRunRecords {
 public:
  /// Opens the arrays, and keeps the first `kept` steps that are in them. Throws OutputError;
  /// InputFileError when they do not hold as many.
  LongRunRecords(std::filesystem::path folder, std::int64_t iteration, std::int64_t chains,
                 std::int64_t kept);

  /// The next steps, steps × chains. Throws OutputError.
  void add(std::span<const float> energies, std::span<const float> gradient_norms);

  /// Makes all of it outlive a power cut. Throws OutputError.
  void sync();

  /// Summarizes and draws all that there is. `name` is the run's. Throws OutputError.
  void draw(const std::string& name, PlotQueue& plots) const;

 private:
  std::filesystem::path folder_;
  std::int64_t iteration_;
  std::int64_t chains_;
  NpyRows energies_;
  NpyRows gradient_norms_;
};

}  // namespace ebm
