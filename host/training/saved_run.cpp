#include "host/training/saved_run.h"

#include <fmt/format.h>

#include <system_error>

#include "cuda/base/errors.h"
#include "host/training/checkpoint_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

SavedRun of_run(const fs::path& folder) {
  const auto refuse = [&folder](std::string_view why) {
    throw InputFileError(fmt::format("{}: {}", folder.string(), why));
  };
  const fs::path config = folder / "config.yaml";
  if (!is_file(config)) {
    refuse("is not the folder of a run: it has no config.yaml");
  }
  const std::optional<fs::path> network = newest_network(folder / "checkpoints");
  if (!network) {
    refuse(
        "has no network (checkpoints/net_*.safetensors); a training run saves one every "
        "checkpoint.every iterations");
  }
  return {.network = *network, .folder = folder, .config = load_train_config(config)};
}

}  // namespace

fs::path run_of_network(const fs::path& network) {
  const fs::path checkpoints = fs::absolute(network).lexically_normal().parent_path();
  const fs::path folder = checkpoints.parent_path();
  const bool of_a_run = checkpoints.filename() == "checkpoints" && is_file(folder / "config.yaml");
  return of_a_run ? folder : fs::path();
}

SavedRun find_saved_run(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw InputFileError(fmt::format("{}: there is no such run or network", path.string()));
  }
  if (fs::is_directory(status)) {
    return of_run(path);
  }
  SavedRun found{.network = path, .folder = run_of_network(path), .config = std::nullopt};
  if (!found.folder.empty()) {
    found.config = load_train_config(found.folder / "config.yaml");
  }
  return found;
}

}  // namespace ebm
