// The diagnosis plot of a training run: d_s and r_s over the iterations, and their correlations.
#pragma once

#include <filesystem>
#include <span>

namespace ebm {

/// Writes, into a run's folder, what the diagnosis plot is drawn from beside diagnostics.csv, and
/// returns the script for draw_plot() or a PlotQueue:
///
///     correlations.csv   Correlations of the last 2000 iterations: a line for each lag from -15,
///                        nan where there is no value. Each line ends with the white-noise band and
///                        the number of iterations so far.
///     plots.gp           see write_plot_style()
///     diagnosis.gp       gnuplot script, written only where it is missing: an edited one stays.
///                        It shows as many lines of diagnostics.csv as correlations.csv says, and
///                        where the run was rolled back to, as events.csv says.
///
/// d_s and r_s: of all iterations so far, at least 2, equally many; diagnostics.csv must hold
/// these. Throws OutputError.
std::filesystem::path write_diagnosis(const std::filesystem::path& run, std::span<const double> d_s,
                                      std::span<const double> r_s);

}  // namespace ebm
