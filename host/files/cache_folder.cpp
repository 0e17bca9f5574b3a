#include "host/files/cache_folder.h"

#include <cstdlib>

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// The folder that a variable names; the XDG rules ignore relative ones.
std::optional<fs::path> folder_from(const char* variable) {
  const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (value == nullptr || !fs::path(value).is_absolute()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::optional<std::filesystem::path> cache_folder() {
  if (const std::optional<fs::path> cache = folder_from("XDG_CACHE_HOME")) {
    return *cache / "ebm";
  }
  if (const std::optional<fs::path> home = folder_from("HOME")) {
    return *home / ".cache/ebm";
  }
  return std::nullopt;
}

}  // namespace ebm
