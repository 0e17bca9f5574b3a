#include "host/training/run_record.h"

#include <fmt/format.h>

#include <utility>

#include "cuda/base/errors.h"
#include "host/output/diagnosis.h"
#include "host/output/diagnostics_csv.h"

namespace ebm {
namespace {

/// Keeps the first lines, which must be there.
void keep_rows(AppendFile& file, const std::filesystem::path& path, std::int64_t count) {
  std::int64_t left = count;
  file.keep_while([&left](std::string_view /*line*/) { return left-- > 0; });
  if (left > 0) {
    throw InputFileError(
        fmt::format("{}: has {} lines below its header, but the run's state needs "
                    "{}; it has been changed since",
                    path.string(), count - left, count));
  }
}

}  // namespace

RunRecord::RunRecord(const RunFolder& folder)
    : diagnostics_path_(folder.diagnostics()),
      events_path_(folder.events()),
      diagnostics_(diagnostics_path_, kDiagnosticsHeader, kOlderDiagnosticsHeader),
      events_(events_path_, kEventsHeader) {}

void RunRecord::go_back(std::int64_t iteration, int rollbacks) {
  unwritten_.clear();
  keep_rows(diagnostics_, diagnostics_path_, iteration);
  keep_rows(events_, events_path_, rollbacks);
  Diagnostics read = read_diagnostics(diagnostics_path_);
  d_s_ = std::move(read.d_s);
  r_s_ = std::move(read.r_s);
}

void RunRecord::add(const IterationRecord& iteration) {
  // The shortest text that reads back as the same number.
  unwritten_ += fmt::format("{},{},{},{}", iteration.iteration, iteration.d_s, iteration.r_s,
                            iteration.learning_rate);
  if (!diagnostics_.is_older()) {
    unwritten_ += fmt::format(",{},{}", iteration.mean_f_data, iteration.mean_f_samples);
  }
  unwritten_ += '\n';
  d_s_.push_back(iteration.d_s);
  r_s_.push_back(iteration.r_s);
}

void RunRecord::flush() {
  diagnostics_.append(unwritten_);
  unwritten_.clear();
}

void RunRecord::sync() {
  flush();
  diagnostics_.sync();
  events_.sync();
}

void RunRecord::add_rollback(std::int64_t from, const std::string& why, std::int64_t to,
                             double rate) {
  events_.append(fmt::format("{},rollback,\"{}\",{},{}\n", from, why, to, rate));
}

}  // namespace ebm
