#include "host/evaluation/training_record.h"

#include <algorithm>
#include <span>
#include <system_error>

#include "cuda/diagnostics/correlations.h"
#include "cuda/diagnostics/moments.h"
#include "host/output/diagnostics_csv.h"

namespace ebm {
std::optional<TrainingRecord> read_training_record(const std::filesystem::path& diagnostics,
                                                   std::int64_t iteration) {
  std::error_code none;
  if (!std::filesystem::exists(diagnostics, none)) {
    return std::nullopt;
  }
  Diagnostics all = read_diagnostics(diagnostics);
  const auto count = static_cast<std::size_t>(iteration);
  if (iteration < 2 || all.d_s.size() < count) {
    return std::nullopt;
  }
  all.d_s.resize(count);
  all.r_s.resize(count);
  const Correlations found = correlations(all.d_s, all.r_s);
  const std::span<const double> d_s = std::span(all.d_s).last(found.m);
  const Moments of_d = moments(d_s);
  const Moments of_r = moments(std::span<const double>(all.r_s).last(found.m));
  const auto m = static_cast<double>(found.m);
  double changes = 0;
  for (std::size_t t = 1; t < d_s.size(); ++t) {
    changes += (d_s[t] > 0) != (d_s[t - 1] > 0) ? 1 : 0;
  }
  return TrainingRecord{
      .iterations = static_cast<std::int64_t>(found.m),
      .d_s_mean = of_d.mean,
      .d_s_deviation = of_d.deviation,
      .r_s_mean = of_r.mean,
      .r_s_deviation = of_r.deviation,
      .positive =
          static_cast<double>(std::ranges::count_if(d_s, [](double d) { return d > 0; })) / m,
      .sign_changes = changes / (m - 1),
      .d_s_lag_1 = found.d_acf[1],
      .r_s_lag_1 = found.r_acf[1],
      .cross_lag_1 = found.cross[Correlations::kMaxLag + 1],
      .band = found.white_noise_band()};
}

}  // namespace ebm
