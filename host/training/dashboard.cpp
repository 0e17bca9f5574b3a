#include "host/training/dashboard.h"

#include <array>
#include <fstream>
#include <sstream>

namespace ebm {

Dashboard::Dashboard(const std::filesystem::path& folder, std::int64_t first_iteration,
                     int langevin_steps)
    : events_(folder, first_iteration), langevin_steps_(langevin_steps) {
  log_point_.iteration = first_iteration - 1;
}

void Dashboard::add(std::span<const IterationRecord> records) {
  if (records.empty()) {
    return;
  }
  const IterationRecord& last = records.back();
  const double now = wall_time();
  for (const IterationRecord& record : records) {
    const std::array scalars = {NamedScalar{"diagnostics/d_s", record.d_s},
                                NamedScalar{"diagnostics/r_s", record.r_s}};
    events_.add_scalars(record.iteration, now - (last.seconds - record.seconds), scalars);
  }
  const std::array scalars = {NamedScalar{"diagnostics/learning_rate", last.learning_rate},
                              NamedScalar{"diagnostics/mean_f_data", last.mean_f_data},
                              NamedScalar{"diagnostics/mean_f_samples", last.mean_f_samples},
                              NamedScalar{"diagnostics/steps_per_second", steps_per_second(last)}};
  events_.add_scalars(last.iteration, now, scalars);
  add_drawn_pictures();
}

/// Since the last log point.
double Dashboard::steps_per_second(const IterationRecord& record) {
  const std::int64_t iterations = record.iteration - log_point_.iteration;
  const double seconds = record.busy_seconds - log_point_.busy_seconds;
  log_point_ = record;
  return static_cast<double>(iterations * langevin_steps_) / seconds;
}

void Dashboard::add(std::int64_t iteration, const LandscapeSummary& summary) {
  const std::array scalars = {NamedScalar{"landscape/kl_learned", summary.kl_learned},
                              NamedScalar{"landscape/l1_learned", summary.l1_learned},
                              NamedScalar{"landscape/l1_shortrun", summary.l1_shortrun}};
  events_.add_scalars(iteration, wall_time(), scalars);
  events_.flush();
}

void Dashboard::add_picture(std::int64_t iteration, const std::string& tag,
                            const std::filesystem::path& path) {
  constexpr double kFurther = 1.05;
  Picture& last = pictures_[tag];
  if (static_cast<double>(iteration) < kFurther * static_cast<double>(last.iteration)) {
    return;
  }
  add_drawn_pictures();  // the one before may have been drawn since the log point
  last = {iteration, path};
  add_drawn_pictures();
}

void Dashboard::add_drawn_pictures() {
  for (auto& [tag, picture] : pictures_) {
    if (picture.path.empty()) {
      continue;
    }
    std::ifstream file(picture.path, std::ios::binary);
    std::ostringstream png;
    if (png << file.rdbuf() && events_.add_picture(picture.iteration, wall_time(), tag,
                                                   std::as_bytes(std::span(png.view())))) {
      picture.path.clear();
    }
  }
  events_.flush();
}

}  // namespace ebm
