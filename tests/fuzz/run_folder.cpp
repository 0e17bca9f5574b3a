// The folder of a run that is to go on: what a Trainer reads there besides the configuration.
#include "host/training/run_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cuda/base/errors.h"
#include "host/training/checkpoint_folder.h"
#include "host/training/run_record.h"
#include "tests/fuzz/hostile_input.h"
#include "tests/fuzz/small_state.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr int kKeep = 2;                             // checkpoints
constexpr std::int64_t kLastIteration = 4294967295;  // of any run

std::string state_name(std::int64_t iteration) {
  return fmt::format("state_{:06}.safetensors", iteration);
}

/// The iteration whose state has this name.
std::optional<std::int64_t> iteration_of(std::string_view name) {
  std::int64_t iteration = 0;
  const std::string_view number = name.substr(std::min(name.size(), state_name(0).find('0')));
  std::from_chars(number.data(), number.data() + number.size(), iteration);
  return iteration >= 0 && name == state_name(iteration) ? std::optional(iteration) : std::nullopt;
}

std::string bytes_of(const TrainingState& state) {
  const TemporaryFolder folder;
  save_state(folder / "state", state);
  return read_bytes(folder / "state");
}

/// The file that a run saves after this iteration; after an odd one it has been rolled back once.
std::string state_after(std::int64_t iteration) {
  TrainingState state = small_state();
  state.iteration = iteration;
  state.rollbacks = static_cast<int>(iteration % 2);
  for (std::int64_t kept = std::max<std::int64_t>(1, iteration - kKeep + 1); kept <= iteration;
       ++kept) {
    state.checkpoints.push_back(kept);
  }
  return bytes_of(state);
}

/// "cut 100" leaves the first 100 bytes, "flip 100" turns bit 100.
std::string damaged(std::string bytes, const std::string& damage) {
  std::istringstream words(damage);
  std::string kind;
  std::size_t place = 0;
  words >> kind >> place;
  if (kind == "cut") {
    bytes.resize(std::min(bytes.size(), place));
  } else if (kind == "flip") {
    char& byte = bytes[place / 8 % bytes.size()];
    byte = static_cast<char>(byte ^ 1 << place % 8);
  }
  return bytes;
}

/// A run's folder, made from "== NAME\nCONTENT\n== NAME\n…". A content that begins with "state" is
/// the state that belongs under the name, damaged as the rest says; "folder" and "pipe" are those;
/// any other stands for itself.
class HostileRun {
 public:
  explicit HostileRun(std::string_view description) {
    constexpr std::string_view kMark = "\n== ";
    constexpr int kMostFiles = 20;
    fs::create_directory(checkpoints());
    write_bytes(folder_ / "config.yaml", "");
    const std::string text = "\n" + std::string(description);
    std::size_t begin = text.find(kMark);
    for (int file = 0; file < kMostFiles && begin != std::string::npos; ++file) {
      begin += kMark.size();
      const std::size_t end = text.find(kMark, begin);
      const std::string piece =
          text.substr(begin, end == std::string::npos ? end : end + 1 - begin);
      const std::size_t line = std::min(piece.find('\n'), piece.size() - 1);
      make_file(piece.substr(0, line), piece.substr(line + 1));
      begin = end;
    }
  }

  const fs::path& root() const { return folder_.path(); }
  fs::path checkpoints() const { return folder_ / "checkpoints"; }

  /// The iteration that the run has to go on after, 0 being its beginning; none where it cannot.
  std::optional<std::int64_t> last_iteration() const {
    const auto after = latest_ ? whole_.upper_bound(*latest_) : whole_.end();
    if (after != whole_.begin()) {
      return *std::prev(after);
    }
    return latest_ || has_states_ ? std::nullopt : std::optional<std::int64_t>(0);
  }

 private:
  void make_file(const std::string& name, const std::string& content) {
    constexpr std::size_t kLongestName = 100;
    const bool is_table = name == "diagnostics.csv" || name == "events.csv";
    const fs::path path = root() / (is_table ? "" : "checkpoints") / name;
    if (name.empty() || name.size() > kLongestName || fs::exists(path) ||
        name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
      return;
    }
    const std::optional<std::int64_t> iteration = iteration_of(name);
    has_states_ = has_states_ || iteration;
    if (content == "folder\n") {
      fs::create_directory(path);
    } else if (content == "pipe\n") {
      ::mkfifo(path.c_str(), 0600);
    } else if (iteration && content.starts_with("state")) {
      const std::string state = state_after(*iteration);
      const std::string bytes = damaged(state, content.substr(5));
      write_bytes(path, bytes);
      if (bytes == state && *iteration <= kLastIteration) {
        whole_.insert(*iteration);
      }
    } else {
      write_bytes(path, content);
      if (name == "latest") {
        latest_ = iteration_of(content.substr(0, content.find('\n')));
      }
    }
  }

  TemporaryFolder folder_;
  bool has_states_ = false;             // whole or not
  std::set<std::int64_t> whole_;        // their iterations
  std::optional<std::int64_t> latest_;  // which of them `latest` names
};

/// Reads the state as a resumed run does.
std::optional<std::int64_t> load(const HostileRun& run, TrainingState& state) {
  const Network network = small_network();
  CheckpointFolder folder(run.checkpoints(), {.every = 1, .keep = kKeep}, {}, network,
                          small_state(), [](const std::string& /*reason*/) {});
  try {
    folder.load_latest(state);
  } catch (const InputFileError&) {
    return std::nullopt;
  }
  LongRun long_run = small_long_run();
  folder.load_long_run(state, long_run);
  return state.iteration;
}

void require(bool holds, const char* what) {
  if (!holds) {
    throw std::logic_error(what);
  }
}

}  // namespace

void read_hostile(std::span<const std::byte> bytes) {
  const HostileRun run({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const std::optional<std::int64_t> expected = run.last_iteration();
  TrainingState state = small_state();
  for (int time = 0; time < 2; ++time) {  // what the first removes must not be missed by the second
    const std::optional<std::int64_t> found = load(run, state);
    require(found == expected, "the run goes on from another state than the newest whole one");
    require(state.iteration == 0 || bytes_of(state) == state_after(state.iteration),
            "the state is not the one that was saved");
  }
  if (!expected) {
    throw InputFileError("none of the states is whole");
  }
  const RunFolder folder = RunFolder::reopen(run.root());
  try {
    RunRecord record(folder);
    record.go_back(state.iteration, state.rollbacks);
    require(std::ssize(record.d_s()) == state.iteration, "the record is not as long as the run");
  } catch (const OutputError& error) {  // of a table that is none, and cannot be added to
    throw InputFileError(error.what());
  }
}

}  // namespace ebm
