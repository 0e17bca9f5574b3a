// What TensorBoard shows of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "host/output/event_file.h"
#include "host/output/landscape.h"
#include "host/training/progress.h"

namespace ebm {

/// Writes a run's curves and pictures into an event file, tagged as the run folder names them:
///
///     diagnostics/d_s, r_s                          of every iteration
///     diagnostics/learning_rate, mean_f_data,       at log points
///                 mean_f_samples, steps_per_second
///     landscape/kl_learned, l1_learned, l1_shortrun
///     shortrun/x, shortrun/bank, longrun/longrun, landscape/landscape      pictures
///
/// d_s and r_s of every iteration, because they are the diagnosis and take 0.1 kB; TensorBoard
/// thins curves itself. Pictures are thinned here: of each tag, one whenever the run is 5% further.
/// All that is given, but for pictures still to be drawn, is on disk when a function returns.
class Dashboard {
 public:
  /// A new event file in `folder`, for a run that goes on with `first_iteration`; what earlier
  /// files hold of it and later iterations is void. `langevin_steps` of the whole batch an
  /// iteration count for the speed. All functions throw OutputError.
  Dashboard(const std::filesystem::path& folder, std::int64_t first_iteration, int langevin_steps);

  /// Iterations in order, the last of them just made; it becomes the log point. Their seconds count
  /// from when this dashboard was made.
  void add(std::span<const IterationRecord> records);

  void add(std::int64_t iteration, const LandscapeSummary& summary);

  /// A PNG file. One that is still to be drawn is looked for again at log points, until the next
  /// one of its tag is due. A file that cannot be read or is not a PNG is passed over like one that
  /// is never drawn: it must not end a run of days.
  void add_picture(std::int64_t iteration, const std::string& tag,
                   const std::filesystem::path& path);

  /// Takes the pictures that have been drawn by now.
  void finish() { add_drawn_pictures(); }

 private:
  struct Picture {
    std::int64_t iteration = 0;
    std::filesystem::path path;  // empty once taken
  };

  void add_drawn_pictures();
  double steps_per_second(const IterationRecord& record);

  EventFile events_;
  int langevin_steps_;
  IterationRecord log_point_;                // the last one
  std::map<std::string, Picture> pictures_;  // the last of each tag
};

}  // namespace ebm
