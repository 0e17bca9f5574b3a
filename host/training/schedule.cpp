#include "host/training/schedule.h"

namespace ebm {

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

}  // namespace ebm
