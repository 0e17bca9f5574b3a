// What TensorBoard shows of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "host/output/event_file.h"
#include "host/output/landscape.h"
#include "host/training/progress.h"

namespace ebm {

/// Writes a run's curves and pictures into an event file, tagged as the run folder names them:
///
///     diagnostics/d_s, r_s                          of every iteration
///     diagnostics/learning_rate, steps_per_second   at log points
///     landscape/kl_learned, l1_learned, l1_shortrun
///     shortrun/x, shortrun/bank, longrun/longrun, landscape/landscape      pictures
///
/// Every iteration, because the two scalars are the diagnosis, cost 0.1 kB, and TensorBoard thins
/// them itself. Pictures are thinned here, as they are in the run folder already: one is taken when
/// the run is 5% further than at the last of its kind. Nothing is buffered from call to call.
class Dashboard {
 public:
  /// A new event file in `folder`, for a run that goes on with `first_iteration`. `langevin_steps`
  /// of the whole batch an iteration count for the speed. All functions throw OutputError.
  Dashboard(const std::filesystem::path& folder, std::int64_t first_iteration, int langevin_steps);

  /// Iterations in order, the last of them just made; it becomes the log point.
  void add(std::span<const IterationRecord> records);

  void add(std::int64_t iteration, const LandscapeSummary& summary);

  /// A PNG file. One that is still to be drawn is looked for again at the next log points.
  void add_picture(std::int64_t iteration, const std::string& tag,
                   const std::filesystem::path& path);

  /// Takes the pictures that have been drawn by now.
  void finish() { add_drawn_pictures(); }

 private:
  struct Picture {
    std::int64_t iteration = 0;
    std::string tag;
    std::filesystem::path path;
  };

  void add_drawn_pictures();
  double steps_per_second(const IterationRecord& record);

  EventFile events_;
  int langevin_steps_;
  IterationRecord log_point_;                  // the last one
  std::map<std::string, std::int64_t> taken_;  // the iteration of each tag's last picture
  std::vector<Picture> waiting_;
};

}  // namespace ebm
