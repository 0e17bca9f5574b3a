// What a toy run has learned, as a picture: the truth, the density its energy defines, and the
// density its short-run chains have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "cuda/diagnostics/density.h"
#include "cuda/kernels/gaussian_kde.h"
#include "host/files/append_file.h"
#include "host/output/plot.h"

namespace ebm {

struct LandscapeSettings {
  ToyDensity truth;
  int resolution = 200;  ///< grid points on each axis of the square window
  double epsilon = 0;    ///< of the training run: U = f / (epsilon²/2), or f for 0
};

/// How far a landscape is from the truth, on the grid.
struct LandscapeSummary {
  double kl_learned = 0;     ///< KL(truth ‖ learned), nats
  double l1_learned = 0;     ///< ∫ |truth − learned|, 0 … 2
  double l1_shortrun = 0;    ///< ∫ |truth − KDE of the short-run chains|, 0 … 2
  std::size_t left_out = 0;  ///< short-run states that were not finite, and are not in the KDE
};

/// Writes a run's landscapes into one folder:
///
///     truth_density.npy                        when made
///     landscape_ITERATION_learned_density.npy  then at every write(), ITERATION with six digits
///     landscape_ITERATION_shortrun_density.npy
///     ..._log_density.npy                      beside each of these: log(density + 1e-10)
///     landscape_ITERATION.gp                   gnuplot script; can be rerun by hand there
///     landscape_ITERATION.png, .pdf            three densities above their logs, drawn by `plots`
///     landscape.csv                            a line each, of the summary's first three
///     landscape.png, .pdf                      these over the iterations, drawn by `plots`; their
///                                              script, landscape.gp, where it is missing
///
/// and plots.gp in the folder around it: see write_plot_style(). Arrays are float32, resolution ×
/// resolution, [row = y, column = x], over truth.half_width() each way. Pictures share the truth's
/// colour range, and mark where a density is above all of the truth's; the lower row shows the
/// logarithms.
class Landscape {
 public:
  /// Makes the folder where it is missing. `plots` must outlive this. Throws OutputError.
  Landscape(std::filesystem::path folder, const LandscapeSettings& settings, PlotQueue& plots);

  /// Where write() wants the energy: resolution² states, row-major (x, y), x varying fastest.
  const std::vector<float>& grid_states() const { return grid_states_; }

  /// The grid's axis, for estimating densities on it.
  const std::vector<float>& axis() const { return axis_; }

  /// One landscape. f: network outputs at grid_states(); shortrun: the density of short-run chains
  /// on the grid. A diverged network (NaN in f) gives NaN and an empty panel. Throws OutputError.
  LandscapeSummary write(std::int64_t iteration, std::span<const float> f,
                         const KernelDensity& shortrun);

  /// Forgets the summaries of later iterations, and draws what a stopped run has left undrawn.
  void go_back(std::int64_t iteration);

 private:
  void draw_summaries();

  std::filesystem::path folder_;
  LandscapeSettings settings_;
  PlotQueue& plots_;
  std::vector<float> axis_;
  std::vector<float> grid_states_;
  std::vector<float> truth_;
  AppendFile summaries_;
};

}  // namespace ebm
