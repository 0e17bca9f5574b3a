#include "host/training/run_folder.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "host/errors.h"

namespace ebm {
namespace {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw OutputError(fmt::format("cannot make the folder {}: {}; choose another with --out DIR",
                                  folder.string(), error.message()));
  }
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path root) : root_(std::move(root)) {
  std::error_code error;
  const bool exists = std::filesystem::exists(root_, error);
  if (exists && !std::filesystem::is_directory(root_, error)) {
    throw ConfigurationError(
        fmt::format("{} is a file; choose another folder with --out DIR", root_.string()));
  }
  if (exists && !std::filesystem::is_empty(root_, error)) {
    throw ConfigurationError(
        fmt::format("{} is not empty, and a run never overwrites another; choose another folder "
                    "with --out DIR, or remove it",
                    root_.string()));
  }
  make_folder(root_);
}

void RunFolder::discard() const {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::filesystem::path RunFolder::numbered(std::string_view folder, std::string_view stem,
                                          std::int64_t iteration,
                                          std::string_view extension) const {
  make_folder(root_ / folder);
  return root_ / folder / fmt::format("{}_{:06}.{}", stem, iteration, extension);
}

std::filesystem::path RunFolder::checkpoint(std::int64_t iteration) const {
  return numbered("checkpoints", "net", iteration, "safetensors");
}
std::filesystem::path RunFolder::short_run(std::int64_t iteration) const {
  return numbered("shortrun", "x", iteration, "png");
}
std::filesystem::path RunFolder::bank(std::int64_t iteration) const {
  return numbered("shortrun", "bank", iteration, "png");
}
std::filesystem::path RunFolder::long_run(std::int64_t iteration) const {
  return numbered("longrun", "longrun", iteration, "png");
}
std::filesystem::path RunFolder::sampled_states(std::int64_t step) const {
  return numbered("states", "x", step, "png");
}

}  // namespace ebm
