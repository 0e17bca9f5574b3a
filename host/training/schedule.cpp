#include "host/training/schedule.h"

namespace ebm {
namespace {

/// Multiples of `every` from `first` to `last`, positive numbers; none where `every` is 0.
std::int64_t multiples(std::int64_t every, std::int64_t first, std::int64_t last) {
  return every > 0 ? last / every - (first - 1) / every : 0;
}

}  // namespace

Due due_after(std::int64_t iteration, const TrainConfig& config) {
  const auto is_multiple = [iteration](int every) { return every > 0 && iteration % every == 0; };
  const bool images = !config.data.is_toy();
  const bool first = iteration == 1;
  const bool last = iteration == config.train.iterations;
  const bool log_point = last || is_multiple(config.log.every);
  const bool landscapes = !images && config.landscape.every > 0;
  return {.log_line = log_point || first,
          .diagnosis = log_point && !first,
          .short_run = log_point && images,
          .landscape = landscapes && (first || last || is_multiple(config.landscape.every)),
          .checkpoint = last || is_multiple(config.checkpoint.every),
          .long_run = images && is_multiple(config.longrun.every)};
}

std::int64_t landscapes_from(std::int64_t iteration, const TrainConfig& config) {
  const std::int64_t last = config.train.iterations;
  return due_after(last, config).landscape
             ? multiples(config.landscape.every, iteration, last - 1) + 1
             : 0;
}

std::int64_t long_runs_from(std::int64_t iteration, const TrainConfig& config) {
  return config.data.is_toy() ? 0
                              : multiples(config.longrun.every, iteration, config.train.iterations);
}

}  // namespace ebm
