// The record of a run, iteration by iteration: on disk as it goes on, in memory for the plots.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "host/files/append_file.h"
#include "host/training/progress.h"
#include "host/training/run_folder.h"

namespace ebm {

/// diagnostics.csv, a line for each iteration, and events.csv, a line for each rollback. A file
/// that an older version has begun goes on with its columns.
class RunRecord {
 public:
  /// Opens the files or makes them. Throws OutputError.
  explicit RunRecord(const RunFolder& folder);

  /// Forgets all after this iteration, and all rollbacks but the first so many; reads what is left
  /// of a stopped run. To be called first. Throws InputFileError when the files do not hold as
  /// much.
  void go_back(std::int64_t iteration, int rollbacks);

  /// Adds the next iteration, in memory.
  void add(const IterationRecord& iteration);
  /// Writes what was added since. Throws OutputError.
  void flush();
  /// The same, and makes all that was written outlive a power cut.
  void sync();

  /// Writes that the run went back to an iteration because the next after `from` diverged. `rate`
  /// is the factor that is left of the learning rate from there on.
  void add_rollback(std::int64_t from, const std::string& why, std::int64_t to, double rate);

  // Of all iterations so far.
  std::span<const double> d_s() const { return d_s_; }
  std::span<const double> r_s() const { return r_s_; }

 private:
  std::filesystem::path diagnostics_path_;
  std::filesystem::path events_path_;
  AppendFile diagnostics_;
  AppendFile events_;
  std::string unwritten_;
  std::vector<double> d_s_;
  std::vector<double> r_s_;
};

}  // namespace ebm
