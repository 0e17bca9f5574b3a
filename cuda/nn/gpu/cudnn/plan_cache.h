// cuDNN's plans kept between runs, so that a second start need not compile and measure them again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ebm {

/// The folder of plans made ahead by ebm_plans, for many users to read: $EBM_CUDNN_PLANS; empty
/// where that is not set.
std::filesystem::path plans_made_ahead();

/// A folder with one file for each plan; any of them may be deleted at any time. Several
/// programs may use it at once. Where it has no plan, a second folder is looked at, and only read.
class PlanCache {
 public:
  /// Keeps nothing, and finds what was made ahead.
  PlanCache() : PlanCache(std::filesystem::path()) {}
  /// The folder is made when the first plan is kept; empty for none, as is `ahead`.
  explicit PlanCache(std::filesystem::path folder, std::filesystem::path ahead = plans_made_ahead())
      : folder_(std::move(folder)), ahead_(std::move(ahead)) {}

  /// What was kept under exactly this key, or none: a file that is damaged, cut short or another
  /// key's is as good as no file.
  std::optional<std::vector<std::uint8_t>> find(const std::string& key) const;
  /// Keeps a plan for find(), whole or not at all; where the folder has one already, that one
  /// stays. False when the folder then has none.
  bool keep(const std::string& key, const std::vector<std::uint8_t>& plan) const;

  /// Makes the folder forget what it has under the key, if that is this plan.
  void discard(const std::string& key, const std::vector<std::uint8_t>& plan) const;

  /// Keeps a plan in memory only, until forget(). Not while another thread uses the cache.
  void remember(const std::string& key, std::vector<std::uint8_t> plan) {
    remembered_[key] = std::move(plan);
  }
  void forget() { remembered_.clear(); }

 private:
  std::filesystem::path folder_;
  std::filesystem::path ahead_;
  std::unordered_map<std::string, std::vector<std::uint8_t>> remembered_;
};

}  // namespace ebm
