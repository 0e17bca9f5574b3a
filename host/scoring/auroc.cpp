#include "host/scoring/auroc.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace ebm {

double auroc(std::span<const float> negatives, std::span<const float> positives) {
  const auto is_nan = [](float value) { return std::isnan(value); };
  if (negatives.empty() || positives.empty() || std::ranges::any_of(negatives, is_nan) ||
      std::ranges::any_of(positives, is_nan)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::vector<float> sorted(negatives.begin(), negatives.end());
  std::ranges::sort(sorted);
  std::uint64_t half_wins = 0;
  for (const float value : positives) {
    const auto [first, end] = std::equal_range(sorted.begin(), sorted.end(), value);
    half_wins += static_cast<std::uint64_t>((first - sorted.begin()) + (end - sorted.begin()));
  }
  return static_cast<double>(half_wins) / 2 / static_cast<double>(negatives.size()) /
         static_cast<double>(positives.size());
}

}  // namespace ebm
