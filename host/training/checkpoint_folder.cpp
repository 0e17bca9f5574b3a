#include "host/training/checkpoint_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ranges>
#include <system_error>
#include <utility>

#include "cuda/base/atomic_file.h"
#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"
#include "host/files/input_file.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNetwork = "net";
constexpr std::string_view kState = "state";
constexpr std::string_view kDiverged = "diverged";
constexpr std::string_view kExtension = ".safetensors";

/// "state_000100.safetensors".
std::string file_name(std::string_view stem, std::int64_t iteration) {
  return fmt::format("{}_{:06}{}", stem, iteration, kExtension);
}

/// 100 of "state_000100.safetensors".
std::optional<std::int64_t> iteration_of(std::string_view stem, std::string_view name) {
  const std::string_view number = name.substr(std::min(name.size(), stem.size() + 1));
  const auto iteration = parse_number<std::int64_t>(number.substr(0, number.find('.')));
  return iteration >= 0 && name == file_name(stem, *iteration) ? iteration : std::nullopt;
}

/// Those of the files there, the newest first.
std::vector<std::int64_t> iterations_on_disk(const fs::path& folder, std::string_view stem) {
  std::vector<std::int64_t> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (const auto iteration = iteration_of(stem, entry.path().filename().string())) {
      found.push_back(*iteration);
    }
  }
  std::ranges::sort(found, std::greater());
  return found;
}

/// What is not needed any more does no harm either, should it stay.
void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

}  // namespace

std::optional<fs::path> newest_network(const fs::path& folder) {
  const std::vector<std::int64_t> found = iterations_on_disk(folder, kNetwork);
  return found.empty() ? std::nullopt : std::optional(folder / file_name(kNetwork, found.front()));
}

std::optional<fs::path> state_beside(const fs::path& network) {
  const auto iteration = iteration_of(kNetwork, network.filename().string());
  const fs::path state = network.parent_path() / file_name(kState, iteration.value_or(0));
  std::error_code none;
  return iteration && fs::exists(state, none) ? std::optional(state) : std::nullopt;
}

CheckpointFolder::CheckpointFolder(fs::path folder, const CheckpointConfig& config,
                                   CheckpointInfo info, const Network& network, TrainingState spare,
                                   Warn warn)
    : folder_(std::move(folder)),
      config_(config),
      info_(std::move(info)),
      network_(network),
      warn_(std::move(warn)),
      copy_(std::move(spare)) {}

fs::path CheckpointFolder::file(std::string_view stem, std::int64_t iteration) const {
  return folder_ / file_name(stem, iteration);
}

void CheckpointFolder::save_network(std::string_view stem, std::int64_t iteration,
                                    std::span<const float> theta) {
  make_folder(folder_);
  CheckpointInfo info = info_;
  info.iteration = iteration;
  save_checkpoint(file(stem, iteration), info, network_, theta);
}

void CheckpointFolder::save(TrainingState& state) {
  finish();
  if (state.iteration % config_.every == 0) {
    state.checkpoints.push_back(state.iteration);
  }
  begin_writing(state, true);
}

void CheckpointFolder::save_between(TrainingState& state) {
  finish();
  if (state.iteration != newest_) {
    begin_writing(state, false);
  }
}

/// A state is written with the checkpoint that is to go still in its list, so that a process killed
/// before it has removed that, too, does so when it goes on.
void CheckpointFolder::begin_writing(TrainingState& state, bool with_network) {
  copy_state(state, copy_);
  newest_ = state.iteration;
  std::vector<std::int64_t>& kept = state.checkpoints;
  kept.erase(kept.begin(), kept.end() - std::min<std::ptrdiff_t>(std::ssize(kept), config_.keep));
  writer_ = std::async(std::launch::async, [this, with_network] { write(with_network); });
}

void CheckpointFolder::write(bool with_network) {
  make_folder(folder_);
  if (with_network) {
    save_network(kNetwork, copy_.iteration, copy_.learned.theta.span());
  }
  const fs::path path = file(kState, copy_.iteration);
  save_state(path, copy_);
  write_file_atomically(folder_ / "latest", path.filename().string() + "\n");
  remove_superseded(copy_);
}

void CheckpointFolder::finish() {
  if (writer_.valid()) {
    writer_.get();
  }
}

void CheckpointFolder::throw_failure() {
  if (writer_.valid() && writer_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    writer_.get();
  }
}

void CheckpointFolder::save_long_run(const TrainingState& state, const LongRun& run) {
  finish();
  ebm::save_long_run(long_run(), state, run);
}

void CheckpointFolder::remove_long_run() { remove_quietly(long_run()); }

void CheckpointFolder::load_long_run(const TrainingState& state, LongRun& run) const {
  std::error_code none;
  if (fs::exists(long_run(), none)) {
    try {
      ebm::load_long_run(long_run(), state, run);
    } catch (const InputFileError& error) {
      warn_(fmt::format("{}; starting the long-run chains over", error.what()));
    }
  }
}

void CheckpointFolder::save_diverged(std::int64_t iteration, std::span<const float> theta) {
  finish();
  save_network(kDiverged, iteration, theta);
}

void CheckpointFolder::remove_superseded(TrainingState& state) {
  std::vector<std::int64_t>& kept = state.checkpoints;
  while (std::ssize(kept) > config_.keep) {
    if (config_.keep_every == 0 || kept.front() % config_.keep_every != 0) {
      remove_quietly(file(kNetwork, kept.front()));
    }
    kept.erase(kept.begin());
  }
  for (const std::int64_t iteration : iterations_on_disk(folder_, kState)) {
    if (iteration < state.iteration && !std::ranges::binary_search(kept, iteration)) {
      remove_quietly(file(kState, iteration));
    }
  }
}

/// Nothing where there is no such file, or, with a warning, where it names no state.
std::optional<std::int64_t> CheckpointFolder::named_by_latest() const {
  const fs::path path = folder_ / "latest";
  std::error_code none;
  if (!fs::exists(path, none)) {
    return std::nullopt;
  }
  try {
    constexpr std::uint64_t kLongestLine = 100;
    InputFile file(path);
    std::string line(std::min(file.remaining(), kLongestLine), '\0');
    file.read(std::as_writable_bytes(std::span(line)));
    const auto iteration = iteration_of(kState, line.substr(0, line.find('\n')));
    if (!iteration) {
      file.fail("does not name a state");
    }
    return iteration;
  } catch (const InputFileError& error) {
    warn_(fmt::format("{}; taking the newest state there is", error.what()));
    return std::nullopt;
  }
}

bool CheckpointFolder::load_latest(TrainingState& state) {
  std::vector<std::int64_t> candidates = iterations_on_disk(folder_, kState);
  if (const std::optional<std::int64_t> named = named_by_latest()) {
    std::erase_if(candidates, [&](std::int64_t iteration) { return iteration > *named; });
    if (candidates.empty() || candidates.front() != *named) {
      candidates.insert(candidates.begin(), *named);  // which says that it is missing
    }
  }
  return load_first_whole(candidates, state);
}

bool CheckpointFolder::load_last_due(TrainingState& state) {
  finish();
  std::vector<std::int64_t> candidates = state.checkpoints;
  std::ranges::reverse(candidates);
  return load_first_whole(candidates, state);
}

bool CheckpointFolder::load_first_whole(std::span<const std::int64_t> candidates,
                                        TrainingState& state) {
  for (const std::int64_t iteration : candidates) {
    try {
      load_state(file(kState, iteration), state);
      newest_ = iteration;
      remove_superseded(state);
      return true;
    } catch (const ChangedData&) {
      throw;
    } catch (const InputFileError& error) {
      warn_(fmt::format("{}; trying the state before it", error.what()));
    }
  }
  if (!candidates.empty()) {
    throw InputFileError(fmt::format(
        "{}: none of the states there can be read; a network (net_*.safetensors) may still be of "
        "use, but the run cannot go on",
        folder_.string()));
  }
  return false;
}

}  // namespace ebm
