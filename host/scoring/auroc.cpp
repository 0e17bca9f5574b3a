#include "host/scoring/auroc.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "cuda/diagnostics/ranks.h"

namespace ebm {

double auroc(std::span<const float> negatives, std::span<const float> positives) {
  const auto is_nan = [](float value) { return std::isnan(value); };
  if (negatives.empty() || positives.empty() || std::ranges::any_of(negatives, is_nan) ||
      std::ranges::any_of(positives, is_nan)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::vector<double> all(negatives.begin(), negatives.end());
  all.insert(all.end(), positives.begin(), positives.end());
  const std::vector<std::int64_t> ranks = doubled_ranks(all);
  // Twice the ranks of positives among all, without what they would be among themselves.
  const std::int64_t count = std::ssize(positives);
  const std::int64_t half_wins =
      std::accumulate(ranks.end() - count, ranks.end(), -count * (count + 1));
  return static_cast<double>(half_wins) / 2 / static_cast<double>(negatives.size()) /
         static_cast<double>(positives.size());
}

}  // namespace ebm
