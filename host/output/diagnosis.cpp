#include "host/output/diagnosis.h"

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "cuda/base/atomic_file.h"
#include "cuda/diagnostics/correlations.h"
#include "host/output/plot_style.h"

namespace ebm {
namespace {

constexpr std::string_view kScript =
    R"gp(# Draws a training run's diagnosis from the tables beside it:
#   gnuplot diagnosis.gp             diagnosis.png
#   gnuplot -c diagnosis.gp F.pdf    F.pdf, or .png
# Written where it is missing and left alone then, so it can be edited, even while a run goes on;
# plots.gp is for the style of all plots.
picture = ARG1 eq "" ? "diagnosis.png" : ARG1
set encoding utf8
if (picture[strlen(picture) - 3:] eq ".pdf") {
  set terminal pdfcairo size 10in,6in font "DejaVu Sans,11" fontscale 0.55 linewidth 1.5
} else {
  set terminal pngcairo size 1500,900 font "DejaVu Sans,12.5" linewidth 1.25
}
set datafile separator comma
set datafile columnheaders
set datafile missing NaN
set minussign
set border 3 linewidth 0.8 linecolor rgb "#404040"
set tics out nomirror scale 0.5
set key off
d_colour = "#0072b2"
r_colour = "#d55e00"
load "plots.gp"
set output picture

# Every row of this table ends with the same two: correlations of white noise stay within ±band
# with a chance of 95%; the table was made when there were so many iterations.
stats "correlations.csv" using "band":"iterations" name "table" nooutput
band = table_max_x
n = int(table_max_y)

# A panel cannot show more than some 1500 iterations: of a longer run it shows the range of every
# `bin` of them. Column 1 is their last iteration; d_s is between columns 2 and 3, r_s 4 and 5.
bin = int(ceil(n / 1500.0))
fold(first, d, r) = first ? (dl = d, dh = d, rl = r, rh = r) : \
  (dl = d < dl ? d : dl, dh = d > dh ? d : dh, rl = r < rl ? r : rl, rh = r > rh ? r : rh)
row(i, d, r) = (fold((i - 1) % bin == 0, d, r), i)
dl = 0; dh = 0; rl = 0; rh = 0
set table $series separator comma
plot "diagnostics.csv" every ::::(n - 1) using (row(int($1), $2, $3)):(dl):(dh):(rl):(rh) \
  with table if (int($1) % bin == 0 || int($1) == n)
unset table
unset datafile columnheaders

# The first tenth of a run may leave the panel of d_s: learning starts far from 0.
stats $series using ($1 > n / 10 ? $2 : NaN):($1 > n / 10 ? $3 : NaN) name "later" nooutput
stats $series using 2:3 name "all" nooutput
stats $series using 4:5 name "strength" nooutput
low = later_min_x < 0 ? later_min_x : 0
high = later_max_y > 0 ? later_max_y : 0
margin = 0.06 * (high > low ? high - low : 1)
r_margin = 0.06 * (strength_max_y > strength_min_x ? strength_max_y - strength_min_x : 1)

# Screen coordinates: two wide panels above three narrow ones.
set multiplot
set tmargin at screen 0.945
set bmargin at screen 0.59
set xrange [0:n]
set xlabel "iteration" offset 0,0.3
do for [column = 2:4:2] {
  # On the left there is room for labels as wide as −1.25×10⁶.
  set lmargin at screen column == 2 ? 0.08 : 0.57
  set rmargin at screen column == 2 ? 0.455 : 0.965
  if (column == 2) {
    set title "Energy difference {/:Italic d}_s (nats)"
    bottom = low - margin
    top = high + margin
    set arrow 1 from graph 0,first 0 to graph 1,first 0 nohead front linewidth 0.8
    if (all_max_y > high + margin || all_min_x < low - margin) {
      set label 1 sprintf("off scale at first: %.3g to %.3g", all_min_x, all_max_y) \
        at graph 1,1.03 right font ",10" textcolor rgb "#606060"
    }
  } else {
    set title "Gradient strength {/:Italic r}_s"
    bottom = strength_min_x - r_margin
    top = strength_max_y + r_margin
    unset arrow 1
    unset label 1
  }
  set yrange [bottom : top]
  colour = column == 2 ? d_colour : r_colour
  upper = column + 1
  plot $series using 1:column:upper with filledcurves fillcolor rgb colour, \
    "" using 1:column with lines linewidth 0.7 linecolor rgb colour, \
    "" using 1:upper with lines linewidth 0.7 linecolor rgb colour, \
    "events.csv" every ::1 using 4:(bottom):(0):(top - bottom) with vectors nohead \
      dashtype 2 linewidth 0.8 linecolor rgb "#606060", \
    "" every ::1 using 4:(top):(" rolled back") with labels left rotate by -90 font ",9" \
      textcolor rgb "#606060" offset 0.7,0
}

set datafile columnheaders
set tmargin at screen 0.44
set bmargin at screen 0.09
set xlabel "lag (iterations)"
set xtics 5
set yrange [* < -2 * band : 2 * band < *]
set offsets 0,0,graph 0.03,graph 0.03
set object rectangle from graph 0,first -band to graph 1,first band behind \
  fillcolor rgb "#e0e0e0" fillstyle solid noborder
set style data impulses
array panel_title[3] = ["Cross-correlation of {/:Italic d}_s(t + lag) and {/:Italic r}_s(t)", \
  "Auto-correlation", "Partial auto-correlation"]
array kind[3] = ["", "acf", "pacf"]
do for [panel = 1:3] {
  left = 0.08 + (panel - 1) * 0.3155
  set lmargin at screen left
  set rmargin at screen left + 0.254
  set title panel_title[panel]
  if (panel == 1) {
    set xrange [-15.8:15.8]
    plot "correlations.csv" using "lag":"cross_correlation" linewidth 1.8 linecolor rgb "#404040", \
      0 with lines linewidth 0.8 linecolor rgb "black"
  } else {
    set xrange [-0.8:15.8]
    set yrange [* < -2 * band : 1.2]
    set key at graph 1,1 right top horizontal samplen 1.2
    plot "correlations.csv" \
        using (column("lag") - 0.14):(column("d_s_" . kind[panel])) \
        linewidth 1.8 linecolor rgb d_colour title "{/:Italic d}_s", \
      "" using (column("lag") + 0.14):(column("r_s_" . kind[panel])) \
        linewidth 1.8 linecolor rgb r_colour title "{/:Italic r}_s", \
      0 with lines linewidth 0.8 linecolor rgb "black" notitle
  }
}
unset multiplot
)gp";

/// One line for each lag; auto-correlations have none below 0.
std::string table(const Correlations& values, std::size_t iterations) {
  constexpr std::size_t kMaxLag = Correlations::kMaxLag;
  std::string lines = "lag,cross_correlation,d_s_acf,r_s_acf,d_s_pacf,r_s_pacf,band,iterations\n";
  for (std::size_t i = 0; i <= 2 * kMaxLag; ++i) {
    lines +=
        fmt::format("{},{:.9g}", static_cast<int>(i) - static_cast<int>(kMaxLag), values.cross[i]);
    for (const auto* lags : {&values.d_acf, &values.r_acf, &values.d_pacf, &values.r_pacf}) {
      lines += i < kMaxLag ? ",nan" : fmt::format(",{:.9g}", (*lags)[i - kMaxLag]);
    }
    lines += fmt::format(",{:.9g},{}\n", values.white_noise_band(), iterations);
  }
  return lines;
}

}  // namespace

std::filesystem::path write_diagnosis(const std::filesystem::path& run, std::span<const double> d_s,
                                      std::span<const double> r_s) {
  write_file_atomically(run / "correlations.csv", table(correlations(d_s, r_s), d_s.size()));
  write_plot_style(run);
  std::filesystem::path script = run / "diagnosis.gp";
  if (!std::filesystem::exists(script)) {
    write_file_atomically(script, kScript);
  }
  return script;
}

}  // namespace ebm
