#include "cuda/diagnostics/mixing.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "cuda/diagnostics/ranks.h"

namespace ebm {
namespace {

/// Chains, or their halves, one after the other, `length` draws each.
struct ChainTable {
  std::size_t length = 0;
  std::vector<double> values;

  std::size_t count() const { return values.size() / length; }
  std::span<const double> operator[](std::size_t i) const {
    return std::span(values).subspan(i * length, length);
  }
};

ChainTable split(std::span<const float> draws, std::size_t chains) {
  const std::size_t whole = draws.size() / chains;
  ChainTable halves{.length = whole / 2, .values = {}};
  halves.values.reserve(2 * chains * halves.length);
  for (std::size_t chain = 0; chain < chains; ++chain) {
    for (const std::size_t first : {std::size_t{0}, whole - halves.length}) {
      for (std::size_t t = first; t < first + halves.length; ++t) {
        halves.values.push_back(static_cast<double>(draws[t * chains + chain]));
      }
    }
  }
  return halves;
}

ChainTable rank_normalized(const ChainTable& chains, const Queue& queue) {
  return {chains.length, normal_scores(chains.values, queue)};
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Σ (x − x̄)²/(n − 1).
double variance(std::span<const double> values) {
  const double centre = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - centre) * (value - centre);
  return squares / static_cast<double>(values.size() - 1);
}

std::vector<double> means(const ChainTable& chains) {
  std::vector<double> each(chains.count());
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = mean(chains[i]);
  return each;
}

bool all_equal(std::span<const double> values) {
  return std::ranges::adjacent_find(values, std::ranges::not_equal_to{}) == values.end();
}

double rhat(const ChainTable& chains) {
  std::vector<double> variances(chains.count());
  for (std::size_t i = 0; i < variances.size(); ++i) variances[i] = variance(chains[i]);
  const auto n = static_cast<double>(chains.length);
  return std::sqrt((n - 1) / n + variance(means(chains)) / mean(variances));
}

/// The auto-correlation at one lag, over all chains: 1 − (W − mean autocovariance)/V, where V, of
/// which W is a part, holds the variance between chains too.
class Autocorrelation {
 public:
  explicit Autocorrelation(ChainTable chains) : centred_(std::move(chains)) {
    const std::vector<double> centres = means(centred_);
    for (std::size_t i = 0; i < centred_.values.size(); ++i) {
      centred_.values[i] -= centres[i / centred_.length];
    }
    const auto n = static_cast<double>(centred_.length);
    within_ = autocovariance(0) * n / (n - 1);
    whole_ = autocovariance(0) + variance(centres);
  }

  double operator()(std::size_t lag) const {
    return lag == 0 ? 1 : 1 - (within_ - autocovariance(lag)) / whole_;
  }

 private:
  /// (1/n) Σ x_t x_{t+lag}, averaged over the chains.
  double autocovariance(std::size_t lag) const {
    std::vector<double> sums(centred_.count());
#pragma omp parallel for
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::span<const double> x = centred_[i];
      sums[i] =
          std::inner_product(x.begin() + static_cast<std::ptrdiff_t>(lag), x.end(), x.begin(), 0.0);
    }
    return mean(sums) / static_cast<double>(centred_.length);
  }

  ChainTable centred_;
  double within_ = 0;
  double whole_ = 0;
};

double effective_size(const ChainTable& chains) {
  const auto size = static_cast<double>(chains.values.size());
  if (all_equal(chains.values)) return size;
  const Autocorrelation rho(chains);
  // Auto-correlations in pairs of lags (0, 1), (2, 3), … as long as a pair's sum is positive, none
  // larger than the one before it. Of the last pair the first one counts, once.
  double time = -1;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t lag = 0;; lag += 2) {
    const double even = rho(lag);
    const double pair = even + rho(lag + 1);
    if (pair <= 0 || lag + 4 >= chains.length) {
      time += std::max(even, 0.0);
      break;
    }
    least = std::min(least, pair);
    time += 2 * least;
  }
  return size / std::max(time, 1 / std::log10(size));
}

}  // namespace

Mixing mixing(std::span<const float> draws, std::int64_t chains, const Queue& queue) {
  constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
  const auto count = static_cast<std::size_t>(chains);
  if (draws.size() < 4 * count ||
      !std::ranges::all_of(draws, [](float x) { return std::isfinite(x); })) {
    return {kUndefined, kUndefined, kUndefined};
  }
  const ChainTable values = split(draws, count);
  const ChainTable normal = rank_normalized(values, queue);
  Mixing mixing{.ess_bulk = effective_size(normal)};
  if (all_equal(values.values)) {
    mixing.rhat = kUndefined;
  } else {
    ChainTable folded = values;
    const double median = quantile(sorted(values.values, queue), 0.5);
    for (double& value : folded.values) value = std::abs(value - median);
    mixing.rhat = std::max(rhat(normal), rhat(rank_normalized(folded, queue)));
  }
  mixing.ess_tail = std::numeric_limits<double>::infinity();
  const std::vector<double> all = sorted(std::vector<double>(draws.begin(), draws.end()), queue);
  for (const double p : {0.05, 0.95}) {
    const double limit = quantile(all, p);
    ChainTable below = values;
    for (double& value : below.values) value = value <= limit ? 1 : 0;
    mixing.ess_tail = std::min(mixing.ess_tail, effective_size(below));
  }
  return mixing;
}

namespace {

/// Of chains one after another.
double nested_rhat(const ChainTable& chains, std::size_t groups) {
  const std::size_t size = chains.count() / groups;
  const std::vector<double> centres = means(chains);
  std::vector<double> group_means;
  double within = 0;
  for (std::size_t group = 0; group < groups; ++group) {
    const std::span<const double> mine = std::span(centres).subspan(group * size, size);
    group_means.push_back(mean(mine));
    double inside = 0;
    for (std::size_t chain = group * size; chain < (group + 1) * size; ++chain) {
      inside += variance(chains[chain]);
    }
    within += variance(mine) + inside / static_cast<double>(size);
  }
  return std::sqrt(1 + variance(group_means) / (within / static_cast<double>(groups)));
}

}  // namespace

double nested_rhat(std::span<const float> draws, std::int64_t chains, std::int64_t groups,
                   const Queue& queue) {
  const auto count = static_cast<std::size_t>(chains);
  ChainTable whole{.length = draws.size() / count, .values = {}};
  for (std::size_t chain = 0; chain < count; ++chain) {
    for (std::size_t t = 0; t < whole.length; ++t) {
      whole.values.push_back(static_cast<double>(draws[t * count + chain]));
    }
  }
  if (!std::ranges::all_of(draws, [](float x) { return std::isfinite(x); }) ||
      all_equal(whole.values)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto split_into = static_cast<std::size_t>(groups);
  ChainTable folded = whole;
  const double median = quantile(sorted(whole.values, queue), 0.5);
  for (double& value : folded.values) value = std::abs(value - median);
  return std::max(nested_rhat(rank_normalized(whole, queue), split_into),
                  nested_rhat(rank_normalized(folded, queue), split_into));
}

}  // namespace ebm
