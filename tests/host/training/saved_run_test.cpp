// What is found of a run, or of a network, by its name on a command line.

#include "host/training/saved_run.h"

#include <gtest/gtest.h>

#include "cuda/base/errors.h"
#include "tests/support/run_training.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// A run with the networks of iterations 300 and 1000, and of 1200, whose name is no longer.
class SavedRuns : public testing::Test {
 protected:
  SavedRuns() {
    fs::create_directories(checkpoints());
    write_bytes(run() / "config.yaml", to_yaml(toy_config()));
    for (const char* name :
         {"net_000300.safetensors", "net_001000.safetensors", "net_1200.safetensors",
          "state_002000.safetensors", "diverged_003000.safetensors", "latest",
          "net_004000.safetensors.tmp"}) {
      write_bytes(checkpoints() / name, "");
    }
  }
  fs::path run() const { return folder_ / "run"; }
  fs::path checkpoints() const { return folder_ / "run/checkpoints"; }

  TemporaryFolder folder_;
};

TEST_F(SavedRuns, AFolderMeansItsNewestNetwork) {
  const SavedRun found = find_saved_run(run());
  EXPECT_EQ(found.network, checkpoints() / "net_001000.safetensors");
  EXPECT_EQ(found.folder, run());
  ASSERT_TRUE(found.config.has_value());
  EXPECT_EQ(to_yaml(*found.config), to_yaml(toy_config()));
  write_bytes(checkpoints() / "net_1000000.safetensors", "");  // more digits, and first by name
  EXPECT_EQ(find_saved_run(run()).network, checkpoints() / "net_1000000.safetensors");
}

TEST_F(SavedRuns, ANetworkIsOfTheRunInWhoseCheckpointsItLies) {
  for (const char* name : {"net_000300.safetensors", "diverged_003000.safetensors"}) {
    const SavedRun found = find_saved_run(checkpoints() / name);
    EXPECT_EQ(found.network, checkpoints() / name);
    EXPECT_EQ(fs::weakly_canonical(found.folder), fs::weakly_canonical(run()));
    ASSERT_TRUE(found.config.has_value());
    EXPECT_EQ(found.config->name, "toy");
  }
  const fs::path before = fs::current_path();
  fs::current_path(checkpoints());
  const SavedRun from_inside = find_saved_run("net_000300.safetensors");
  fs::current_path(before);
  EXPECT_TRUE(from_inside.config.has_value());
}

TEST_F(SavedRuns, ANetworkElsewhereIsOfNoRun) {
  fs::copy(checkpoints() / "net_000300.safetensors", folder_ / "net.safetensors");
  fs::create_directories(folder_ / "alone/checkpoints");
  fs::copy(checkpoints() / "net_000300.safetensors", folder_ / "alone/checkpoints/a.safetensors");
  for (const char* path : {"net.safetensors", "alone/checkpoints/a.safetensors"}) {
    const SavedRun found = find_saved_run(folder_ / path);
    EXPECT_EQ(found.network, folder_ / path);
    EXPECT_EQ(found.folder, "");
    EXPECT_FALSE(found.config.has_value());
  }
}

TEST_F(SavedRuns, TellsWhatIsMissing) {
  const auto message = [&](const char* path) {
    return message_of<InputFileError>([&] { find_saved_run(folder_ / path); });
  };
  EXPECT_TRUE(mentions(message("none"), {"none", "no such run or network"}));
  EXPECT_TRUE(mentions(message("run/checkpoints"), {"checkpoints", "config.yaml"}));
  fs::remove(checkpoints() / "net_000300.safetensors");
  fs::remove(checkpoints() / "net_001000.safetensors");
  EXPECT_TRUE(mentions(message("run"), {"run", "no network", "checkpoint.every"}));
  write_bytes(run() / "config.yaml", "name: x\n");
  EXPECT_TRUE(mentions(message_of<ConfigurationError>(
                           [&] { find_saved_run(checkpoints() / "diverged_003000.safetensors"); }),
                       {"config.yaml"}));
}

}  // namespace
}  // namespace ebm
