// Pictures of energy, gradient magnitude and acceptance along long chains.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/files/append_file.h"
#include "host/files/npy_rows.h"
#include "host/output/plot.h"

namespace ebm {

/// Summarizes a run in at most 2,000 points: of energy and gradient magnitude the mean over chains
/// and the 10% and 90% quantiles, averaged over a point's steps; and the rate of acceptance. Keeps
/// them in steps.csv, and beside it energy.gp, gradient.gp and, for MALA, acceptance.gp with their
/// pictures, in the style of plots.gp.
class SamplingPlots {
 public:
  /// Begins the points anew, and writes the scripts that are missing. `name` is the run's. `plots`
  /// is borrowed. Of a long run that follows an iteration of training, the files are
  /// steps_005000.csv, energy_005000.gp and so on, and plots.gp is that of the folder around.
  /// Throws OutputError.
  SamplingPlots(std::filesystem::path folder, const std::string& name, std::int64_t steps,
                bool mala, PlotQueue& plots, std::optional<std::int64_t> iteration = {});

  /// The next step: a value a chain, and MALA's share of chains that accepted.
  void add(std::span<const float> energies, std::span<const float> gradient_norms,
           float acceptance);

  /// All steps that are recorded, rows of a value a chain; `acceptance`, of one a step, is null
  /// unless MALA.
  void add_recorded(const NpyRows& energies, const NpyRows& gradient_norms,
                    const NpyRows* acceptance, std::int64_t chains);

  /// Writes the points so far; those of a `last` call include a point not all of whose steps have
  /// been made. Queues the pictures.
  void draw(bool last);

 private:
  void write_point();

  std::filesystem::path folder_;
  bool mala_;
  PlotQueue& plots_;
  std::string table_;
  AppendFile points_;
  std::vector<std::filesystem::path> scripts_;
  std::int64_t steps_a_point_;
  std::int64_t steps_ = 0;
  std::int64_t written_ = 0;
  // The point in the making: sums over its steps.
  std::int64_t in_point_ = 0;
  std::array<double, 7> sums_{};
  std::string lines_;
  std::vector<float> sorted_;
};

}  // namespace ebm
