#include "host/output/plot_style.h"

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "cuda/base/atomic_file.h"
#include "host/files/input_file.h"

namespace ebm {
namespace {

constexpr std::string_view kStub =
    R"gp(# The style of all plots of this run. Every script (.gp) reads this file after its own
# settings and before it draws; `ebm_plot RUN` draws those that are there already once more. For
# example:
#   set termoption font "Helvetica,14"
#   set palette gray                     # densities
#   saturated = "cyan"                   # where a density is above the truth's highest
#   d_colour = "black"; r_colour = "red" # of d_s and r_s
#   line_colour = "black"; band_colour = "gray80" # of everything along iterations or steps
# `picture` is the name of the file that is drawn: .png, or .pdf.
)gp";

std::filesystem::path style_of(const std::filesystem::path& run) { return run / "plots.gp"; }

}  // namespace

void write_plot_style(const std::filesystem::path& run) {
  if (!std::filesystem::exists(style_of(run))) {
    write_file_atomically(style_of(run), kStub);
  }
}

void set_plot_style(const std::filesystem::path& run, const std::string& style) {
  write_file_atomically(style_of(run), style);
}

std::string read_plot_style(const std::filesystem::path& file) {
  constexpr std::uint64_t kLargest = 1 << 20;
  InputFile input(file);
  if (input.remaining() > kLargest) {
    input.fail("is larger than 1 MiB, too large for gnuplot commands of a style");
  }
  std::string text(input.remaining(), '\0');
  input.read(std::as_writable_bytes(std::span(text)));
  return text;
}

std::string plot_script_head(std::string_view file, std::string_view table, std::string_view style,
                             std::string_view run, std::string_view settings) {
  std::string quoted;  // a quote in a gnuplot text in single quotes is written twice
  for (const char c : run) {
    quoted += c == '\'' ? "''" : std::string(1, c);
  }
  return fmt::format(R"(# Draws {2} beside it: `gnuplot {0}.gp` makes {0}.png, and
# `gnuplot -c {0}.gp F.pdf` (or F.png) that file.
picture = ARG1 eq "" ? "{0}.png" : ARG1
set encoding utf8
if (picture[strlen(picture) - 3:] eq ".pdf") {{
  set terminal pdfcairo size 8.333in,4.667in font "DejaVu Sans,12" fontscale 0.6
}} else {{
  set terminal pngcairo size 1000,560 font "DejaVu Sans,12"
}}
set datafile separator ","
set border 3 linewidth 0.8
set tics out nomirror scale 0.6
set minussign
set title '{1}' noenhanced
{4}load "{3}"
set output picture
)",
                     file, quoted, table, style, settings);
}

}  // namespace ebm
