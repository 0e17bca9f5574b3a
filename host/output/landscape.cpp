#include "host/output/landscape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"
#include "host/files/npy.h"
#include "host/output/plot_style.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// What a landscape's script is told; the rest of it is kScript.
struct Picture {
  std::string name;  ///< of the script and the picture, and how their arrays' names begin
  std::string title;
  std::string shortrun_title;
  std::size_t points = 0;  ///< on each axis
  double half_width = 0;
  double peak = 0;  ///< the highest true density
  double learned_peak = 0;
  double shortrun_peak = 0;
  std::uintmax_t npy_header = 0;  ///< bytes before an array's values
};

std::string variables(const Picture& picture) {
  return fmt::format(R"(# Draws the arrays beside it: `gnuplot {0}.gp` makes {0}.png, and
# `gnuplot -c {0}.gp F.pdf` (or F.png) that file.
picture = ARG1 eq "" ? "{0}.png" : ARG1
figure_title = "{1}"
array panel_title[3] = ["truth", "learned energy", "{2}"]
array whose[3] = ["truth", "{0}_learned", "{0}_shortrun"]
points = {3}        # on each axis
half_width = {4}
array peak[3] = [{5}, {6}, {7}]  # the highest densities
npy_header = {8}    # bytes before an array's values
)",
                     picture.name, picture.title, picture.shortrun_title, picture.points,
                     picture.half_width, picture.peak, picture.learned_peak, picture.shortrun_peak,
                     picture.npy_header);
}

constexpr std::string_view kScript = R"gp(
# All panels of a row share the colours of the truth: from nothing to its peak, and from
# e^-12 of its peak to its peak. What is below has the colour of the end; what is above, at more
# than the truth's peak, has one of its own, and the panel's title says how far it goes.
array lowest[2] = [0, log(peak[1]) - 12]
array highest[2] = [peak[1], log(peak[1])]
array colour_title[2] = ["density", "log density"]
array kind[2] = ["_density.npy", "_log_density.npy"]

set encoding utf8
if (picture[strlen(picture) - 3:] eq ".pdf") {
  set terminal pdfcairo size 10in,6.583in font "DejaVu Sans,12" fontscale 0.6
} else {
  set terminal pngcairo size 1200,790 font "DejaVu Sans,12"
}
# Anchors of viridis, by S. van der Walt and N. Smith for matplotlib.
set palette maxcolors 256 defined (0 "#440154", 1 "#482475", 2 "#414487", 3 "#355f8d", \
  4 "#2a788e", 5 "#21918c", 6 "#22a884", 7 "#44bf70", 8 "#7ad151", 9 "#bddf26", 10 "#fde725")
set minussign
unset key
set border linewidth 0.8
set tics out nomirror scale 0.6
set xrange [-half_width:half_width]
set yrange [-half_width:half_width]
saturated = "#ff2a2a"
load "../plots.gp"
set output picture

excess(column) = peak[column] > peak[1] ? \
  sprintf(" (to %.3g × the peak)", peak[column] / peak[1]) : ""
slack = 1e-6 * abs(log(peak[1]))  # what a logarithm in single precision is off by
# Screen coordinates; `height` makes the panels square.
width = 0.27
height = width * 1200 / 790
step = 2.0 * half_width / (points - 1)
set multiplot title figure_title font ",15"
do for [row = 1:2] {
  bottom = 0.9 - row * height - (row - 1) * 0.025
  set bmargin at screen bottom
  set tmargin at screen bottom + height
  set cbrange [lowest[row]:highest[row]]
  set format x (row == 2 ? "%g" : "")
  do for [column = 1:3] {
    left = 0.05 + (column - 1) * (width + 0.018)
    set lmargin at screen left
    set rmargin at screen left + width
    set title (row == 1 ? panel_title[column] . excess(column) : "") offset 0,-0.4
    set format y (column == 1 ? "%g" : "")
    unset colorbox
    unset label
    if (column == 3) {
      set colorbox user origin screen left + width + 0.012, bottom size screen 0.014, height
      set label colour_title[row] at screen 0.985, screen bottom + height / 2 rotate center
      if (row == 1) {
        set object 1 rectangle from screen left + width + 0.012, bottom + height + 0.008 \
          to screen left + width + 0.026, bottom + height + 0.026 \
          fillcolor rgb saturated fillstyle solid noborder
        set label "above" at screen left + width + 0.03, screen bottom + height + 0.017
      } else {
        unset object 1
      }
    }
    # Pixels above the peak are left out, and show what is behind them.
    unset object 2
    if (peak[column] > peak[1]) {
      set object 2 rectangle from graph 0,0 to graph 1,1 behind fillcolor rgb saturated \
        fillstyle solid noborder
    }
    plot whose[column].kind[row] binary skip=npy_header array=(points,points) format="%float32" \
      origin=(-half_width,-half_width) dx=step dy=step \
      using ($1 > highest[row] + slack ? NaN : $1) with image
  }
}
unset multiplot
)gp";

constexpr std::string_view kSummaryScript =
    R"gp(# Draws landscape.csv beside it: `gnuplot landscape.gp` makes landscape.png, and
# `gnuplot -c landscape.gp F.pdf` (or F.png) that file. Written where it is missing and left alone
# then.
picture = ARG1 eq "" ? "landscape.png" : ARG1
set encoding utf8
if (picture[strlen(picture) - 3:] eq ".pdf") {
  set terminal pdfcairo size 10in,4in font "DejaVu Sans,12" fontscale 0.6
} else {
  set terminal pngcairo size 1200,480 font "DejaVu Sans,12"
}
set datafile separator comma
set border 3 linewidth 0.8
set tics out nomirror scale 0.6
set minussign
set key top right opaque
set xlabel "iteration"
set style data linespoints
set pointsize 0.6
learned_colour = "#0072b2"
shortrun_colour = "#d55e00"
load "../plots.gp"
set output picture

set xrange [0:*]
set rmargin 4
set multiplot layout 1,2
set title "KL(truth ‖ learned), nats"
set logscale y
# A diverged run may have no KL at all; the second, invisible, gives it axes.
plot "landscape.csv" every ::1 using 1:2 linewidth 1.5 pointtype 7 linecolor rgb learned_colour \
    notitle, \
  "" every ::1 using (0):(1) with dots linecolor rgb "#ff000000" notitle
set title "L1 distance from the truth (0 to 2)"
unset logscale y
set yrange [0:2]
plot "landscape.csv" every ::1 using 1:3 linewidth 1.5 pointtype 7 linecolor rgb learned_colour \
    title "learned energy", \
  "" every ::1 using 1:4 linewidth 1.5 pointtype 7 linecolor rgb shortrun_colour \
    title "short-run chains"
unset multiplot
)gp";

/// Writes a density and its logarithm, NAME_density.npy and NAME_log_density.npy; the number of
/// bytes before their values.
std::uintmax_t write_density(const fs::path& folder, const std::string& name, std::size_t side,
                             std::span<const float> density) {
  constexpr double kFloor = 1e-10;  // keeps the logarithm of nothing finite
  std::vector<float> log_density;
  for (const float value : density) {
    log_density.push_back(static_cast<float>(std::log(static_cast<double>(value) + kFloor)));
  }
  const auto size = static_cast<std::int64_t>(side);
  const fs::path path = folder / (name + "_density.npy");
  write_npy(path, std::array{size, size}, density);
  write_npy(folder / (name + "_log_density.npy"), std::array{size, size}, log_density);
  return fs::file_size(path) - density.size_bytes();
}

/// The highest density; 0 of one that is not a number.
double peak_of(std::span<const float> density) {
  const auto highest = static_cast<double>(*std::max_element(density.begin(), density.end()));
  return std::isfinite(highest) ? highest : 0;
}

fs::path made(fs::path folder) {
  make_folder(folder);
  return folder;
}

}  // namespace

Landscape::Landscape(fs::path folder, const LandscapeSettings& settings, PlotQueue& plots)
    : folder_(made(std::move(folder))),
      settings_(settings),
      plots_(plots),
      axis_(grid_axis(settings.truth.half_width(), settings.resolution)),
      grid_states_(ebm::grid_states(axis_)),
      truth_(true_density(settings.truth, axis_)),
      summaries_(folder_ / "landscape.csv", "iteration,kl_learned,l1_learned,l1_shortrun") {
  write_density(folder_, "truth", axis_.size(), truth_);
}

LandscapeSummary Landscape::write(std::int64_t iteration, std::span<const float> f,
                                  const KernelDensity& shortrun) {
  const std::vector<float> learned = learned_density(f, settings_.epsilon, axis_);
  const LandscapeSummary summary = {
      .kl_learned = kl_divergence(truth_, f, settings_.epsilon),
      .l1_learned = l1_distance(truth_, learned, axis_),
      .l1_shortrun = l1_distance(truth_, shortrun.density, axis_),
      .left_out = shortrun.left_out,
  };

  const std::string name = fmt::format("landscape_{:06}", iteration);
  write_density(folder_, name + "_learned", axis_.size(), learned);
  const std::uintmax_t npy_header =
      write_density(folder_, name + "_shortrun", axis_.size(), shortrun.density);
  const Picture picture = {
      .name = name,
      .title = fmt::format("iteration {}:  KL(truth ‖ learned) = {:.3g} nats", iteration,
                           summary.kl_learned),
      .shortrun_title = shortrun.left_out == 0
                            ? "short-run chains"
                            : fmt::format("short-run chains ({} not finite)", shortrun.left_out),
      .points = axis_.size(),
      .half_width = settings_.truth.half_width(),
      .peak = peak_of(truth_),
      .learned_peak = peak_of(learned),
      .shortrun_peak = peak_of(shortrun.density),
      .npy_header = npy_header,
  };
  write_plot_style(folder_.parent_path());
  const fs::path script = folder_ / (name + ".gp");
  write_file_atomically(script, variables(picture) + std::string(kScript));
  summaries_.append(fmt::format("{},{:.6g},{:.6g},{:.6g}\n", iteration, summary.kl_learned,
                                summary.l1_learned, summary.l1_shortrun));
  plots_.draw(script);
  draw_summaries();
  return summary;
}

/// All that landscape.csv has.
void Landscape::draw_summaries() {
  const fs::path script = folder_ / "landscape.gp";
  if (!fs::exists(script)) {
    write_file_atomically(script, kSummaryScript);
  }
  plots_.draw(script);
}

void Landscape::go_back(std::int64_t iteration) {
  summaries_.keep_while([iteration](std::string_view line) {
    const auto of_line = parse_number<std::int64_t>(line.substr(0, line.find(',')));
    return of_line && *of_line <= iteration;
  });
  const auto is_missing = [](fs::path script, const char* extension) {
    std::error_code none;
    return !fs::exists(script.replace_extension(extension), none);
  };
  std::error_code none;
  if (fs::exists(folder_ / "landscape.gp", none)) {
    draw_summaries();
  }
  for (const auto& entry : fs::directory_iterator(folder_, none)) {
    const fs::path& script = entry.path();
    if (script.extension() == ".gp" && (is_missing(script, ".png") || is_missing(script, ".pdf"))) {
      plots_.draw(script);
    }
  }
}

}  // namespace ebm
