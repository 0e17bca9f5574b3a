#include "host/sampling/acceptance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/diagnostics/normal_quantile.cuh"

namespace ebm {
namespace {

/// x ≥ 0 of 2Φ(−x) = rate; of no acceptance at all, a large one.
double quantile(double rate) {
  constexpr double kLeast = 1e-300;
  return std::max(0.0, -normal_quantile(std::max(rate, kLeast) / 2));
}

}  // namespace

double suggested_epsilon(double epsilon, double rate) {
  constexpr double kBest = 0.574;
  constexpr double kFurthest = 10;
  const double factor = std::cbrt(quantile(kBest) / quantile(rate));
  return epsilon * std::clamp(factor, 1 / kFurthest, kFurthest);
}

std::optional<std::string> AcceptanceWatch::add(double share) {
  shares_[static_cast<std::size_t>(steps_ % kSteps)] = share;
  ++steps_;
  if (said_ || steps_ < kSteps) {
    return std::nullopt;
  }
  const double rate = std::accumulate(shares_.begin(), shares_.end(), 0.0) / kSteps;
  if (rate >= kLeast && rate <= kMost) {
    return std::nullopt;
  }
  said_ = true;
  return fmt::format(
      "MALA accepts {:.1f}% of its proposals (of the last {} steps): its steps are too {}; try "
      "sample.epsilon: {:.2g} instead of {:.4g} (chains move fastest where it accepts 57%)",
      100 * rate, kSteps, rate < kLeast ? "large" : "small", suggested_epsilon(epsilon_, rate),
      epsilon_);
}

}  // namespace ebm
