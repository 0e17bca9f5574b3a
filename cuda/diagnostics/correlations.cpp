#include "cuda/diagnostics/correlations.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace ebm {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// The last `m` values over their largest magnitude, so that squares neither overflow nor vanish.
/// Empty when they are all 0, or one is not finite.
std::vector<double> window(std::span<const double> series, std::size_t m) {
  std::vector<double> values(series.end() - static_cast<std::ptrdiff_t>(m), series.end());
  double largest = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) return {};
    largest = std::max(largest, std::abs(value));
  }
  if (largest == 0) return {};
  for (double& value : values) value /= largest;
  return values;
}

void divide_by_spread(std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  const double spread = std::sqrt(squares / static_cast<double>(values.size() - 1));
  for (double& value : values) value /= spread;
}

std::vector<double> scaled(std::span<const double> d_s, std::size_t m) {
  std::vector<double> values = window(d_s, m);
  if (!values.empty()) divide_by_spread(values);
  return values;
}

std::vector<double> standardized(std::span<const double> r_s, std::size_t m) {
  std::vector<double> values = window(r_s, m);
  // Compared exactly: after rounding, the differences from the mean of equal values need not be 0.
  const auto differs = [&values](double value) { return value != values.front(); };
  if (std::none_of(values.begin(), values.end(), differs)) return {};
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  for (double& value : values) value -= mean;
  divide_by_spread(values);
  return values;
}

/// Σ a_{t+lag} b_t / (m−1).
double correlation(std::span<const double> a, std::span<const double> b, std::size_t lag) {
  if (lag >= a.size() || lag >= b.size()) return kUndefined;
  const auto later = a.subspan(lag);
  return std::inner_product(later.begin(), later.end(), b.begin(), 0.0) /
         static_cast<double>(a.size() - 1);
}

Correlations::Lags auto_correlations(std::span<const double> values) {
  Correlations::Lags acf{};
  for (std::size_t lag = 0; lag < acf.size(); ++lag) acf[lag] = correlation(values, values, lag);
  return acf;
}

/// Durbin and Levinson: phi is the best linear prediction of a value from the `lag` before it; its
/// last coefficient is the partial auto-correlation. From the first NaN on, all is NaN.
Correlations::Lags partial_auto_correlations(const Correlations::Lags& acf) {
  Correlations::Lags pacf{};
  pacf[0] = acf[0];
  std::vector<double> phi;
  for (std::size_t lag = 1; lag < acf.size(); ++lag) {
    double unexplained = acf[lag];
    double variance = 1;
    for (std::size_t j = 0; j < phi.size(); ++j) {
      unexplained -= phi[j] * acf[lag - 1 - j];
      variance -= phi[j] * acf[j + 1];
    }
    pacf[lag] = unexplained / variance;
    const std::vector<double> shorter = phi;
    for (std::size_t j = 0; j < phi.size(); ++j) {
      phi[j] -= pacf[lag] * shorter[shorter.size() - 1 - j];
    }
    phi.push_back(pacf[lag]);
  }
  return pacf;
}

}  // namespace

double Correlations::white_noise_band() const {
  return m == 0 ? kUndefined : 1.96 / std::sqrt(static_cast<double>(m));
}

Correlations correlations(std::span<const double> d_s, std::span<const double> r_s) {
  Correlations result;
  result.m = std::min(Correlations::kWindow, d_s.size());
  const bool enough = result.m >= 2;
  const std::vector<double> d = enough ? scaled(d_s, result.m) : std::vector<double>();
  const std::vector<double> r = enough ? standardized(r_s, result.m) : std::vector<double>();
  for (std::size_t lag = 0; lag <= Correlations::kMaxLag; ++lag) {
    result.cross[Correlations::kMaxLag + lag] = correlation(d, r, lag);
    result.cross[Correlations::kMaxLag - lag] = correlation(r, d, lag);
  }
  result.d_acf = auto_correlations(d);
  result.r_acf = auto_correlations(r);
  result.d_pacf = partial_auto_correlations(result.d_acf);
  result.r_pacf = partial_auto_correlations(result.r_acf);
  return result;
}

}  // namespace ebm
