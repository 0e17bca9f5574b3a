#include "host/evaluation/evaluation_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

#include "cuda/base/atomic_file.h"
#include "cuda/base/ceil_div.h"
#include "cuda/diagnostics/ranks.h"
#include "host/output/plot_style.h"

namespace ebm {
namespace {

constexpr std::size_t kMostPoints = 2000;
constexpr std::array<std::string_view, 3> kColours{"#1f4e79", "#b15928", "#33824f"};
constexpr std::array<std::string_view, 3> kBands{"#a6cee3", "#fdbf6f", "#b2df8a"};

/// The script is `settings` and then `plot`.
void write_plot(const std::filesystem::path& folder, const std::string& name,
                const std::string& run, const std::string& table, const std::string& settings,
                const std::string& plot, PlotQueue& plots) {
  write_file_atomically(folder / (name + ".csv"), table);
  write_plot_style(folder);
  const std::filesystem::path file = folder / (name + ".gp");
  std::error_code none;
  if (!std::filesystem::exists(file, none)) {
    write_file_atomically(file,
                          plot_script_head(name, name + ".csv", "plots.gp", run, settings) + plot);
  }
  plots.draw(file);
}

}  // namespace

void write_energy_plot(const std::filesystem::path& folder, const std::string& run,
                       const std::vector<NamedEnergyLine>& lines, double data, PlotQueue& plots) {
  std::string table = "step";
  std::string settings = R"(set format x "%.0f"
set xlabel "step"
set ylabel "energy U"
set logscale x
set xrange [1:*]
set key inside top right opaque
)";
  std::string bands;
  std::string means;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& name = lines[i].name;
    table += fmt::format(",{0}_mean,{0}_10,{0}_90", name);
    const std::size_t column = 2 + 3 * i;
    bands += fmt::format(
        "  \"energy_of_chains.csv\" every ::1 using ($1+1):{}:{} with filledcurves fillcolor rgb "
        "\"{}\" fillstyle transparent solid 0.5 notitle, \\\n",
        column + 1, column + 2, kBands[i]);
    means += fmt::format(
        "  \"\" every ::1 using ($1+1):{} with lines linewidth 1.5 linecolor rgb \"{}\" title "
        "\"from {}\", \\\n",
        column, kColours[i], name == "bank" ? "the bank" : name);
  }
  table += '\n';
  const std::size_t rows = lines.front().line.step.size();
  const std::size_t stride = ceil_div(rows, kMostPoints);
  // Noise begins far above: its way down is left out of the picture.
  double bottom = data;
  double top = data;
  for (std::size_t row = 0; row < rows; row += stride) {
    table += fmt::format("{}", lines.front().line.step[row]);
    for (const NamedEnergyLine& start : lines) {
      table += fmt::format(",{:.9g},{:.9g},{:.9g}", start.line.mean[row], start.line.low[row],
                           start.line.high[row]);
      if (row > 0 || start.name == "data") {
        bottom = std::min(bottom, start.line.low[row]);
        top = std::max(top, start.line.high[row]);
      }
    }
    table += '\n';
  }
  const double margin = 0.1 * (top - bottom);
  settings += fmt::format("set yrange [{:.9g}:{:.9g}]\n", bottom - margin, top + 3 * margin);
  write_plot(
      folder, "energy_of_chains", run, table, settings,
      "plot \\\n" + bands + means +
          fmt::format("  {:.9g} with lines dashtype 2 linecolor rgb \"black\" title \"data\"\n",
                      data),
      plots);
}

void write_log_weight_plot(const std::filesystem::path& folder, const std::string& run,
                           std::span<const double> forward_estimates,
                           std::span<const double> reverse_estimates, const LogPartition& log_z,
                           PlotQueue& plots) {
  const std::vector<double> forward = sorted(forward_estimates);
  const std::vector<double> reverse = sorted(reverse_estimates);
  std::string table = "forward,forward_share,reverse,reverse_share\n";
  const auto cell = [](const std::vector<double>& values, std::size_t i) {
    return i < values.size()
               ? fmt::format("{:.10g},{:.6g}", values[i],
                             static_cast<double>(i + 1) / static_cast<double>(values.size()))
               : std::string(",");
  };
  for (std::size_t i = 0; i < std::max(forward.size(), reverse.size()); ++i) {
    table += cell(forward, i) + "," + cell(reverse, i) + "\n";
  }
  const std::string settings = fmt::format(R"gp(set xlabel "log Z by one chain of annealing (nats)"
set ylabel "share of the chains that say at most this"
set key outside right top
set yrange [0:1]
set object rectangle from {0:.10g}, graph 0 to {1:.10g}, graph 1 behind \
  fillcolor rgb "#e0e0e0" fillstyle solid noborder
)gp",
                                           log_z.lower, log_z.upper);
  const std::string plot =
      fmt::format(R"gp(plot "log_weights.csv" every ::1 using 1:2 with lines linewidth 1.5 \
    linecolor rgb "{0}" title "forward, from the uniform law", \
  "" every ::1 using 3:4 with lines linewidth 1.5 linecolor rgb "{1}" \
    title "reverse, from chains", \
  NaN with boxes fillcolor rgb "#e0e0e0" fillstyle solid title "log Z is in here"
)gp",
                  kColours[0], kColours[1]);
  write_plot(folder, "log_weights", run, table, settings, plot, plots);
}

}  // namespace ebm
