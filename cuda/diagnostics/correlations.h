// How the records of a training run, d_s and r_s, depend on their own past and on each other's.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace ebm {

/// Correlations of the last m iterations, m = min(kWindow, iterations). With
///
///     d'_t = d_t / √(Σ d²/(m−1))                        scaled, not centred
///     r'_t = (r_t − r̄) / √(Σ (r − r̄)²/(m−1))
///
/// and every sum over the t at which both factors exist:
///
///     cross[kMaxLag + k] = Σ d'_{t+k} r'_t / (m−1)      k = −kMaxLag … kMaxLag
///     d_acf[k]           = Σ d'_{t+k} d'_t / (m−1)      k = 0 … kMaxLag; r_acf likewise
///
/// so at k > 0 the cross-correlation is of d_s with the r_s of k iterations before. pacf[k] is the
/// partial auto-correlation, by Durbin and Levinson's recursion on the auto-correlations: what lag
/// k adds to the lags before it; pacf[0] = 1.
///
/// A value that is not defined is NaN: lags ≥ m; all of a series, and the cross-correlations, when
/// it holds a value that is not finite in the window, or when it does not vary (d_s: is 0; r_s: is
/// constant), or when m < 2.
struct Correlations {
  static constexpr std::size_t kWindow = 2000;
  static constexpr std::size_t kMaxLag = 15;
  using Lags = std::array<double, kMaxLag + 1>;

  std::size_t m = 0;
  std::array<double, 2 * kMaxLag + 1> cross{};
  Lags d_acf{};
  Lags r_acf{};
  Lags d_pacf{};
  Lags r_pacf{};

  /// 1.96/√m: 95% of white noise's correlations at one lag are within ± this. NaN for m = 0.
  double white_noise_band() const;
};

/// d_s and r_s of all iterations so far, equally many.
Correlations correlations(std::span<const double> d_s, std::span<const double> r_s);

}  // namespace ebm
