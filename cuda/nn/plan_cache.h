// cuDNN's plans kept between runs, so that a second start need not measure them again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ebm {

/// A folder with one file for each plan; any of them may be deleted at any time. Several
/// programs may use it at once.
class PlanCache {
 public:
  /// Keeps nothing.
  PlanCache() = default;
  /// The folder is made when the first plan is kept.
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// What was kept under exactly this key, or none: a file that is damaged, cut short or another
  /// key's is as good as no file.
  std::optional<std::vector<std::uint8_t>> find(const std::string& key) const;
  /// Keeps a plan for find(), whole or not at all. Where that fails nothing is kept, nothing said.
  void keep(const std::string& key, const std::vector<std::uint8_t>& plan) const;

 private:
  std::filesystem::path file_of(const std::string& key) const;

  std::filesystem::path folder_;
};

}  // namespace ebm
