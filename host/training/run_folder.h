// The folder a run leaves behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace ebm {

/// Where a run's files are. Made empty at the start of a run:
///
///     config.yaml  environment.json  log.txt  diagnostics.csv
///     diagnosis.{png,pdf,gp}  correlations.csv
///     checkpoints/net_000100.safetensors
///     shortrun/x_000100.png  shortrun/bank_000100.png      images
///     longrun/longrun_010000.png                           images
///     landscape/                                           toy densities
class RunFolder {
 public:
  /// Makes the folder. Throws ConfigurationError when it exists and is not empty, OutputError when
  /// it cannot be made.
  explicit RunFolder(std::filesystem::path root);

  /// Empties the folder, of which all is this run's: for a run that could not start, so that the
  /// same command can be given again.
  void discard() const;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.yaml"; }
  std::filesystem::path environment() const { return root_ / "environment.json"; }
  std::filesystem::path log() const { return root_ / "log.txt"; }
  std::filesystem::path diagnostics() const { return root_ / "diagnostics.csv"; }
  std::filesystem::path landscape() const { return root_ / "landscape"; }
  std::filesystem::path checkpoint(std::int64_t iteration) const;
  std::filesystem::path short_run(std::int64_t iteration) const;
  std::filesystem::path bank(std::int64_t iteration) const;
  std::filesystem::path long_run(std::int64_t iteration) const;
  /// states/x_000500.png, of a sampling run.
  std::filesystem::path sampled_states(std::int64_t step) const;

 private:
  std::filesystem::path numbered(std::string_view folder, std::string_view stem,
                                 std::int64_t iteration, std::string_view extension) const;

  std::filesystem::path root_;
};

}  // namespace ebm
