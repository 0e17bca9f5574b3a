#include "cuda/nn/gpu/cudnn/plan_cache.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

namespace ebm {
namespace {

constexpr std::string_view kFormat = "ebm plan 1\n";

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  }
  return hash;
}

std::string hexadecimal(std::uint64_t value) {
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

/// A file's text: the format, the key, then the hash of the plan, then the plan.
std::string head_of(const std::string& key, std::string_view plan) {
  return std::string(kFormat) + key + "\n" + hexadecimal(hash_of(plan)) + "\n";
}

std::filesystem::path file_of(const std::filesystem::path& folder, const std::string& key) {
  return folder / ("plan_" + hexadecimal(hash_of(key)));
}

std::optional<std::vector<std::uint8_t>> read(const std::filesystem::path& path,
                                              const std::string& key) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream contents;
  contents << file.rdbuf();
  const std::string text = contents.str();
  const std::size_t head_size = head_of(key, {}).size();
  if (text.size() < head_size) {
    return std::nullopt;
  }
  const std::string_view plan = std::string_view(text).substr(head_size);
  if (std::string_view(text).substr(0, head_size) != head_of(key, plan)) {
    return std::nullopt;
  }
  return std::vector<std::uint8_t>(plan.begin(), plan.end());
}

}  // namespace

std::filesystem::path plans_made_ahead() {
  const char* const folder = std::getenv("EBM_CUDNN_PLANS");
  return folder == nullptr ? "" : folder;
}

std::optional<std::vector<std::uint8_t>> PlanCache::find(const std::string& key) const {
  if (const auto found = remembered_.find(key); found != remembered_.end()) {
    return found->second;
  }
  for (const std::filesystem::path& folder : {folder_, ahead_}) {
    if (folder.empty()) {
      continue;
    }
    if (auto plan = read(file_of(folder, key), key)) {
      return plan;
    }
  }
  return std::nullopt;
}

bool PlanCache::keep(const std::string& key, const std::vector<std::uint8_t>& plan) const {
  if (folder_.empty()) {
    return false;
  }
  std::error_code failure;
  std::filesystem::create_directories(folder_, failure);
  const std::filesystem::path path = file_of(folder_, key);
  const std::filesystem::path part = path.string() + "." + std::to_string(getpid());
  {
    std::ofstream file(part, std::ios::binary);
    const std::string bytes(plan.begin(), plan.end());
    file << head_of(key, bytes) << bytes;
    file.close();
    if (file.fail()) {
      std::filesystem::remove(part, failure);
      return false;
    }
  }
  // A link, unlike a renaming, leaves the file of a program that was faster as it is.
  std::filesystem::create_hard_link(part, path, failure);
  if (failure && !read(path, key)) {
    std::filesystem::rename(part, path, failure);  // a damaged file, or no links on this disk
  }
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  return read(path, key).has_value();
}

void PlanCache::discard(const std::string& key, const std::vector<std::uint8_t>& plan) const {
  if (!folder_.empty() && read(file_of(folder_, key), key) == plan) {
    std::error_code ignored;
    std::filesystem::remove(file_of(folder_, key), ignored);
  }
}

}  // namespace ebm
