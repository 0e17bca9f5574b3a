// The style of a run's plots: one file of gnuplot commands that the script of every plot reads.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace ebm {

/// Writes RUN/plots.gp, which explains itself and sets nothing, where it is missing. Every script
/// of a run reads it after its own settings and before it draws. Throws OutputError.
void write_plot_style(const std::filesystem::path& run);

/// How the scripts begin that draw a table beside them, up to where they plot: FILE.gp makes
/// FILE.png, titled after the run. `settings` are gnuplot's commands, of which the style, by its
/// path from the script's folder, may say otherwise.
std::string plot_script_head(std::string_view file, std::string_view table, std::string_view style,
                             std::string_view run, std::string_view settings);

/// Makes `style` the run's plots.gp. Throws OutputError.
void set_plot_style(const std::filesystem::path& run, const std::string& style);

/// The text of a file that set_plot_style() takes. Throws InputFileError when it cannot be read.
std::string read_plot_style(const std::filesystem::path& file);

}  // namespace ebm
