#include "host/training/run_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/errors.h"
#include "host/output/diagnosis.h"
#include "host/output/diagnostics_csv.h"

namespace ebm {

RunRecord::RunRecord(const RunFolder& folder)
    : diagnostics_path_(folder.diagnostics()),
      diagnostics_(diagnostics_path_, kDiagnosticsHeader),
      events_(folder.events(), kEventsHeader) {
  Diagnostics read = read_diagnostics(diagnostics_path_);
  d_s_ = std::move(read.d_s);
  r_s_ = std::move(read.r_s);
}

void RunRecord::add(const IterationRecord& iteration) {
  // The shortest text that reads back as the same number.
  unwritten_ += fmt::format("{},{},{},{}\n", iteration.iteration, iteration.d_s, iteration.r_s,
                            iteration.learning_rate);
  d_s_.push_back(iteration.d_s);
  r_s_.push_back(iteration.r_s);
}

void RunRecord::flush() {
  diagnostics_.append(unwritten_);
  unwritten_.clear();
}

void RunRecord::sync() {
  diagnostics_.sync();
  events_.sync();
}

void RunRecord::add_rollback(std::int64_t from, const std::string& why, std::int64_t to,
                             double rate) {
  events_.append(fmt::format("{},rollback: {},{},{}\n", from, why, to, rate));
}

void RunRecord::go_back(std::int64_t iteration, int rollbacks) {
  unwritten_.clear();
  const std::size_t rows = diagnostics_.keep_rows(static_cast<std::size_t>(iteration));
  if (rows != static_cast<std::size_t>(iteration)) {
    throw InputFileError(fmt::format("{}: has {} iterations, but the run's state is that after {}",
                                     diagnostics_path_.string(), rows, iteration));
  }
  events_.keep_rows(static_cast<std::size_t>(rollbacks));
  d_s_.resize(rows);
  r_s_.resize(rows);
}

}  // namespace ebm
