#include "host/output/sampling_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <system_error>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/ceil_div.h"
#include "host/output/plot_style.h"

namespace ebm {
namespace {

constexpr std::int64_t kMostPoints = 2000;

constexpr std::string_view kSettings = R"(set format x "%.0f"
set key top right opaque
set xlabel "step"
set ylabel '{}' noenhanced
line_colour = "#1f4e79"
band_colour = "#a6cee3"
)";

constexpr std::string_view kBandScript = R"(
plot "{3}" using 1:{1}:{2} with filledcurves fillcolor rgb band_colour \
       title "10% to 90% of the chains", \
     "{3}" using 1:{0} with lines linewidth 1.5 linecolor rgb line_colour title "mean"
)";

constexpr std::string_view kRateScript = R"(
set yrange [0:1]
plot "{1}" using 1:{0} with lines linewidth 1.5 linecolor rgb line_colour notitle
)";

}  // namespace

SamplingPlots::SamplingPlots(std::filesystem::path folder, const std::string& name,
                             std::int64_t steps, bool mala, PlotQueue& plots,
                             std::optional<std::int64_t> iteration)
    : folder_(std::move(folder)),
      mala_(mala),
      plots_(plots),
      table_(fmt::format("steps{}.csv", iteration ? fmt::format("_{:06}", *iteration) : "")),
      points_(folder_ / table_,
              fmt::format("step,energy_mean,energy_10,energy_90,gradient_mean,gradient_10,"
                          "gradient_90{}",
                          mala ? ",acceptance" : "")),
      steps_a_point_(ceil_div(steps, kMostPoints)) {
  points_.keep_while([](std::string_view /*line*/) { return false; });
  const auto write = [&](std::string_view quantity_name, std::string_view quantity,
                         const std::string& plot) {
    const std::string file =
        fmt::format("{}{}", quantity_name, iteration ? fmt::format("_{:06}", *iteration) : "");
    scripts_.push_back(folder_ / (file + ".gp"));
    std::error_code none;
    if (!std::filesystem::exists(scripts_.back(), none)) {
      const char* style = iteration ? "../plots.gp" : "plots.gp";
      write_file_atomically(
          scripts_.back(),
          plot_script_head(file, table_, style, name, fmt::format(kSettings, quantity)) + plot);
    }
  };
  write_plot_style(iteration ? folder_.parent_path() : folder_);
  write("energy", "energy U", fmt::format(kBandScript, 2, 3, 4, table_));
  write("gradient", "gradient magnitude (ε²/2)‖∇U‖", fmt::format(kBandScript, 5, 6, 7, table_));
  if (mala) {
    write("acceptance", "share of accepted proposals", fmt::format(kRateScript, 8, table_));
  }
}

void SamplingPlots::add(std::span<const float> energies, std::span<const float> gradient_norms,
                        float acceptance) {
  const auto mean = [](std::span<const float> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  // What is not a number, of chains that diverged, comes last.
  const auto in_order = [](float a, float b) { return a < b || (std::isnan(b) && !std::isnan(a)); };
  std::size_t sum = 0;
  for (const std::span<const float> values : {energies, gradient_norms}) {
    sums_[sum++] += mean(values);
    sorted_.assign(values.begin(), values.end());
    for (const std::size_t tenth : {1U, 9U}) {
      const auto rank = static_cast<std::ptrdiff_t>((tenth * (values.size() - 1) + 5) / 10);
      std::nth_element(sorted_.begin(), sorted_.begin() + rank, sorted_.end(), in_order);
      sums_[sum++] += static_cast<double>(sorted_[static_cast<std::size_t>(rank)]);
    }
  }
  sums_[sum] += static_cast<double>(acceptance);
  ++steps_;
  if (++in_point_ == steps_a_point_) {
    write_point();
  }
}

void SamplingPlots::write_point() {
  const auto count = static_cast<double>(in_point_);
  lines_ += fmt::format("{}", static_cast<double>(steps_) - (count + 1) / 2);
  for (std::size_t i = 0; i < sums_.size() - (mala_ ? 0 : 1); ++i) {
    lines_ += fmt::format(",{:.7g}", sums_[i] / count);
  }
  lines_ += '\n';
  sums_ = {};
  in_point_ = 0;
  ++written_;
}

void SamplingPlots::add_recorded(const NpyRows& energies, const NpyRows& gradient_norms,
                                 const NpyRows* acceptance, std::int64_t chains) {
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, (1 << 16) / chains);
  const auto width = static_cast<std::size_t>(chains);
  std::vector<float> u;
  std::vector<float> norms;
  std::vector<float> accepted;
  for (std::int64_t row = 0; row < energies.rows(); row += rows_at_once) {
    const auto rows = static_cast<std::size_t>(std::min(rows_at_once, energies.rows() - row));
    u.resize(rows * width);
    norms.resize(u.size());
    accepted.resize(rows);
    energies.read(row, u);
    gradient_norms.read(row, norms);
    if (acceptance != nullptr) {
      acceptance->read(row, accepted);
    }
    for (std::size_t i = 0; i < rows; ++i) {
      add(std::span(u).subspan(i * width, width), std::span(norms).subspan(i * width, width),
          accepted[i]);
    }
  }
}

void SamplingPlots::draw(bool last) {
  if (last && in_point_ > 0) {
    write_point();
  }
  points_.append(lines_);
  lines_.clear();
  if (written_ > 1) {  // a line needs two points
    for (const std::filesystem::path& script : scripts_) {
      plots_.draw(script);
    }
  }
}

}  // namespace ebm
