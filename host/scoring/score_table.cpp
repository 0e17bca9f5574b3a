#include "host/scoring/score_table.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <iterator>
#include <numeric>
#include <span>

#include "cuda/base/atomic_file.h"

namespace ebm {
namespace {

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(std::span<const float> values) {
  const double middle = mean(values);
  double sum = 0;
  for (const double value : values) {
    sum += (value - middle) * (value - middle);
  }
  return std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace

void write_score_table(const std::filesystem::path& path, const std::vector<ScoredSet>& sets,
                       std::optional<double> temperature) {
  std::string text = temperature ? "set,state,f,U,gradient_norm\n" : "set,state,f,gradient_norm\n";
  for (const ScoredSet& set : sets) {
    for (std::size_t i = 0; i < set.scores.f.size(); ++i) {
      const float f = set.scores.f[i];
      fmt::format_to(std::back_inserter(text), "{},{},{}", set.name, i, f);
      if (temperature) {
        fmt::format_to(std::back_inserter(text), ",{}", static_cast<float>(f / *temperature));
      }
      fmt::format_to(std::back_inserter(text), ",{}\n", set.scores.gradient_norm[i]);
    }
  }
  const std::array pieces = {std::as_bytes(std::span<const char>(text))};
  write_file_atomically(path, pieces);
}

std::string describe_scores(const Scores& scores, std::optional<double> temperature) {
  if (scores.f.empty()) {
    return "no states";
  }
  std::string text = fmt::format("mean f {:.6g} (sd {:.3g})", mean(scores.f), deviation(scores.f));
  if (temperature) {
    text += fmt::format(", U {:.6g}", mean(scores.f) / *temperature);
  }
  if (!scores.gradient_norm.empty()) {
    text += fmt::format(", ‖∇f‖ {:.4g}", mean(scores.gradient_norm));
  }
  return text;
}

}  // namespace ebm
