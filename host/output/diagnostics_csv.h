// Reading the record of a training run.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace ebm {

/// The first line of diagnostics.csv; a line for each iteration follows, from 1.
inline constexpr std::string_view kDiagnosticsHeader =
    "iteration,d_s,r_s,learning_rate,mean_f_data,mean_f_samples";

/// The first line of those that version 0.2 or an earlier one has begun: they keep these columns.
inline constexpr std::string_view kOlderDiagnosticsHeader = "iteration,d_s,r_s,learning_rate";

/// The first line of events.csv; a line for each time the run went back follows: the iteration that
/// diverged, what was done and why, the iteration whose state it went on from, and the factor
/// left of the learning rate.
inline constexpr std::string_view kEventsHeader = "iteration,event,reason,back_to,rate_factor";

/// What diagnostics.csv holds, in the order of iterations; not finite where a run diverged.
struct Diagnostics {
  std::vector<double> d_s;
  std::vector<double> r_s;
  bool is_cut = false;  ///< the file ends within a line, which is left out
};

/// Throws InputFileError when `path` cannot be read, or naming the first line that is not as
/// ebm_train writes it.
Diagnostics read_diagnostics(const std::filesystem::path& path);

}  // namespace ebm
