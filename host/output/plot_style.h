// The style of a run's plots: one file of gnuplot commands that the script of every plot reads.
#pragma once

#include <filesystem>
#include <string>

namespace ebm {

/// Writes RUN/plots.gp, which explains itself and sets nothing, where it is missing. Every script
/// of a run reads it after its own settings and before it draws. Throws OutputError.
void write_plot_style(const std::filesystem::path& run);

/// Makes `style` the run's plots.gp. Throws OutputError.
void set_plot_style(const std::filesystem::path& run, const std::string& style);

/// The text of a file that set_plot_style() takes. Throws InputFileError when it cannot be read.
std::string read_plot_style(const std::filesystem::path& file);

}  // namespace ebm
