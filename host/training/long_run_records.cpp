#include "host/training/long_run_records.h"

#include <fmt/format.h>

#include <utility>

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
  summary.add_recorded(energies_, gradient_norms_, nullptr, chains_);
  summary.draw(true);
}

}  // namespace ebm
