#include "host/training/long_run_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "host/output/sampling_plots.h"
#include "host/training/progress.h"

namespace ebm {

LongRunRecords::LongRunRecords(std::filesystem::path folder, std::int64_t iteration,
                               std::int64_t chains, std::int64_t kept)
    : folder_(std::move(folder)),
      iteration_(iteration),
      chains_(chains),
      energies_(folder_ / fmt::format("energy_{:06}.npy", iteration), {chains}, kept),
      gradient_norms_(folder_ / fmt::format("gradient_{:06}.npy", iteration), {chains}, kept) {}

void LongRunRecords::add(std::span<const float> energies, std::span<const float> gradient_norms) {
  energies_.append(energies);
  gradient_norms_.append(gradient_norms);
}

void LongRunRecords::sync() {
  energies_.sync();
  gradient_norms_.sync();
}

void LongRunRecords::draw(const std::string& name, PlotQueue& plots) const {
  SamplingPlots summary(folder_,
                        fmt::format("{}: long run of iteration {}", name, grouped(iteration_)),
                        energies_.rows(), false, plots, iteration_);
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, (1 << 16) / chains_);
  const auto chains = static_cast<std::size_t>(chains_);
  std::vector<float> energies;
  std::vector<float> norms;
  for (std::int64_t row = 0; row < energies_.rows(); row += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, energies_.rows() - row);
    energies.resize(static_cast<std::size_t>(rows * chains_));
    norms.resize(energies.size());
    energies_.read(row, energies);
    gradient_norms_.read(row, norms);
    for (std::size_t at = 0; at < energies.size(); at += chains) {
      summary.add(std::span(energies).subspan(at, chains), std::span(norms).subspan(at, chains), 0);
    }
  }
  summary.draw(true);
}

}  // namespace ebm
