// Scores as a table and in a few words.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/scoring/scores.h"

namespace ebm {

/// The scores of one input.
struct ScoredSet {
  std::string_view name;  ///< "input" or "against"
  Scores scores;
};

/// Writes a CSV file of a line for each state, in their order, set after set: `set`, `state` (from
/// 0), `f`, `U` = f/temperature where there is one, and `gradient_norm`. Numbers read back to the
/// same float. The file appears whole or not at all. Throws OutputError.
void write_score_table(const std::filesystem::path& path, const std::vector<ScoredSet>& sets,
                       std::optional<double> temperature);

/// "mean f -12.3 (sd 0.5), U -246000, ‖∇f‖ 0.021", of what there is.
std::string describe_scores(const Scores& scores, std::optional<double> temperature);

}  // namespace ebm
