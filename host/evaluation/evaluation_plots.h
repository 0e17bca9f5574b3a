// Pictures of an evaluation.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "host/evaluation/evaluation.h"
#include "host/evaluation/long_chains.h"
#include "host/output/plot.h"

namespace ebm {

struct NamedEnergyLine {
  std::string name;  ///< of the start
  LongChains::EnergyLine line;
};

/// energy_of_chains.csv and its plot: U along the chains of each start, beside the data's. Throws
/// OutputError.
void write_energy_plot(const std::filesystem::path& folder, const std::string& run,
                       const std::vector<NamedEnergyLine>& lines, double data, PlotQueue& plots);

/// log_weights.csv and its plot: how many chains of annealing say at most so much of log Z.
void write_log_weight_plot(const std::filesystem::path& folder, const std::string& run,
                           std::span<const double> forward, std::span<const double> reverse,
                           const LogPartition& log_z, PlotQueue& plots);

}  // namespace ebm
