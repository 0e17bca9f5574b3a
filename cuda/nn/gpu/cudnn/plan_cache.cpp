#include "cuda/nn/gpu/cudnn/plan_cache.h"

#include <cstdlib>
#include <fstream>
#include <span>
#include <sstream>
#include <string_view>
#include <system_error>

#include "cuda/base/atomic_file.h"
#include "cuda/base/content_digest.h"
#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"

namespace ebm {
namespace {

constexpr std::string_view kFormat = "ebm plan 2\n";

std::string digest_text(std::string_view bytes) {
  return to_text(digest_of(std::as_bytes(std::span(bytes))));
}

/// A file's text: the format, the key, then the digest of the plan, then the plan.
std::string head_of(const std::string& key, std::string_view plan) {
  return std::string(kFormat) + key + "\n" + digest_text(plan) + "\n";
}

std::filesystem::path file_of(const std::filesystem::path& folder, const std::string& key) {
  return folder / ("plan_" + digest_text(key));
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
  const std::filesystem::path path = file_of(folder_, key);
  if (read(path, key)) {
    return true;
  }
  const std::string bytes(plan.begin(), plan.end());
  try {
    make_folder(folder_);
    std::error_code ignored;
    std::filesystem::remove(path, ignored);  // a damaged file, if there is one
    write_file_atomically(path, head_of(key, bytes) + bytes, Existing::kept);
  } catch (const OutputError&) {
    return false;
  }
  return read(path, key).has_value();
}

void PlanCache::discard(const std::string& key, const std::vector<std::uint8_t>& plan) const {
  if (!folder_.empty() && read(file_of(folder_, key), key) == plan) {
    std::error_code ignored;
    std::filesystem::remove(file_of(folder_, key), ignored);
  }
}

}  // namespace ebm
