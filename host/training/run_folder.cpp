#include "host/training/run_folder.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"

namespace ebm {

namespace fs = std::filesystem;

namespace {

/// Which program goes on with the run in a folder: " ebm_train --resume DIR"; "" where there is
/// none.
std::string way_to_go_on(const fs::path& root) {
  std::error_code none;
  const bool trains = fs::exists(root / "diagnostics.csv", none);
  const bool samples = fs::exists(root / "network.safetensors", none);
  return trains || samples ? fmt::format(", or go on with it: {} --resume {}",
                                         trains ? "ebm_train" : "ebm_sample", root.string())
                           : "";
}

}  // namespace

RunFolder::RunFolder(fs::path root) : root_(std::move(root)), lock_(root_ / "lock") {}

void RunFolder::require_free(const fs::path& root) {
  std::error_code error;
  const bool exists = fs::exists(root, error);
  if (exists && !fs::is_directory(root, error)) {
    throw ConfigurationError(
        fmt::format("{} is a file; choose another folder with --out DIR", root.string()));
  }
  if (exists && !fs::is_empty(root, error)) {
    throw ConfigurationError(
        fmt::format("{} is not empty, and a run never overwrites another; choose another folder "
                    "with --out DIR, or remove it{}",
                    root.string(), way_to_go_on(root)));
  }
}

RunFolder RunFolder::create(fs::path root) {
  require_free(root);
  make_folder(root);
  return RunFolder(std::move(root));
}

RunFolder RunFolder::reopen(fs::path root) {
  std::error_code error;
  if (!fs::is_regular_file(root / "config.yaml", error)) {
    throw ConfigurationError(fmt::format(
        "--resume {}: is not the folder of a run: it has no config.yaml", root.string()));
  }
  return RunFolder(std::move(root));
}

void RunFolder::discard() const {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

fs::path RunFolder::new_environment() const {
  std::error_code none;
  fs::path path = root_ / "environment.json";
  for (int process = 2; fs::exists(path, none); ++process) {
    path = root_ / fmt::format("environment_{}.json", process);
  }
  return path;
}

fs::path RunFolder::numbered_picture(std::string_view folder, std::string_view stem,
                                     std::int64_t iteration) const {
  make_folder(root_ / folder);
  return root_ / folder / fmt::format("{}_{:06}.png", stem, iteration);
}

fs::path RunFolder::short_run(std::int64_t iteration) const {
  return numbered_picture("shortrun", "x", iteration);
}
fs::path RunFolder::bank(std::int64_t iteration) const {
  return numbered_picture("shortrun", "bank", iteration);
}
fs::path RunFolder::long_run(std::int64_t iteration) const {
  return numbered_picture("longrun", "longrun", iteration);
}
fs::path RunFolder::sampled_states(std::int64_t step) const {
  return numbered_picture("states", "x", step);
}

}  // namespace ebm
