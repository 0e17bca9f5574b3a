// Sampling runs that were stopped, killed or damaged, and go on: the same bits as the run that
// never stopped.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "cuda/base/errors.h"
#include "host/files/npy.h"
#include "host/files/npy_rows.h"
#include "host/sampling/sampling_run.h"
#include "tests/host/training/stopped_runs.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// Without gnuplot.
class ResumedSampling : public Resume {
 protected:
  ResumedSampling() {
    const Network toy = published_network("toy", 2, 32);
    save_checkpoint(folder_ / "toy.safetensors",
                    {.network = "toy", .channels = 2, .features = 32, .epsilon = 0.125}, toy,
                    initial_parameters(toy, 3).span());
    const Network vanilla = published_network("vanilla", 1, 2);
    save_checkpoint(folder_ / "vanilla.safetensors",
                    {.network = "vanilla", .channels = 1, .features = 2, .epsilon = 0.01}, vanilla,
                    initial_parameters(vanilla, 3).span());
  }

  /// Points of 2 steps in steps.csv, a log point in the middle of one, and an end that is none.
  SampleConfig toy() const {
    SampleConfig config;
    config.name = "toy";
    config.network = {.kind = NetworkKind::toy, .channels = 2, .image_size = 1};
    config.start = SamplingStart::gaussian;
    config.sample = {.checkpoint = (folder_ / "toy.safetensors").string(),
                     .train_epsilon = 0.125,
                     .epsilon = 0.125,
                     .steps = 2120,
                     .chains = 7};
    config.log.every = 601;
    return config;
  }
  SampleConfig images() const {
    SampleConfig config;
    config.name = "images";
    config.network = {.kind = NetworkKind::vanilla, .features = 2, .channels = 1};
    config.start = SamplingStart::uniform;
    config.sample = {.checkpoint = (folder_ / "vanilla.safetensors").string(),
                     .train_epsilon = 0.01,
                     .epsilon = 0.01,
                     .steps = 30,
                     .chains = 3};
    config.log.every = 12;
    return config;
  }
  static SampleConfig by_mala(SampleConfig config) {
    config.sample.mala = true;
    config.sample.clamp = {.trained = false, .other = Clamp({-1.5, 1.5})};
    return config;
  }

  /// Samples into `folder`, or goes on with the run there. Returns whether it is done.
  static bool sample(const SampleConfig& config, const fs::path& folder,
                     const StopRequest& stop = never_asked_to_stop) {
    const bool is_new = !fs::exists(folder / "config.yaml");
    const RunFolder run_folder = is_new ? RunFolder::create(folder) : RunFolder::reopen(folder);
    write_bytes(run_folder.config(), to_yaml(config));
    RunLog log(run_folder.log(), true);
    const Checkpoint checkpoint = load_saved_network(config, config.sample.checkpoint);
    return SamplingRun(config, checkpoint, run_folder, log, stop).run();
  }

  TemporaryFolder folder_;
};

TEST_F(ResumedSampling, GoesOnFromWhereverItWasStoppedOnAnyThreads) {
  int run = 0;
  for (const SampleConfig& config : {toy(), by_mala(toy()), images(), by_mala(images())}) {
    const fs::path whole = folder_ / fmt::format("whole_{}", ++run);
    ASSERT_TRUE(sample(config, whole));
    int question = 1;
    for (;; question += question < 10 ? 1 : 7) {
      const fs::path stopped = folder_ / fmt::format("stopped_{}_{}", run, question);
      {
        const Threads threads(1 + question % 2);
        if (sample(config, stopped, stop_at(question, false))) {
          break;
        }
      }
      const Threads threads(2 - question % 2);
      ASSERT_TRUE(sample(config, stopped));
      ASSERT_EQ(differing_files(stopped, whole), "") << run << " stopped at question " << question;
      fs::remove_all(stopped);
    }
    EXPECT_GT(question, 5) << "never asked";
  }
}

TEST_F(ResumedSampling, StoppedAgainAndAgainItEndsInTheSameBits) {
  for (const SampleConfig& config : {by_mala(toy()), images()}) {
    sample(config, folder_ / "whole");
    int starts = 1;
    while (!sample(config, folder_ / "run", stop_at(config.name == "toy" ? 8 : 3, false))) {
      ++starts;
    }
    EXPECT_GT(starts, 2);
    EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
    fs::remove_all(folder_ / "run");
    fs::remove_all(folder_ / "whole");
  }
}

TEST_F(ResumedSampling, WhatAKilledProcessLeftBehindItsStateIsCutOff) {
  const SampleConfig config = by_mala(toy());
  sample(config, folder_ / "whole");
  ASSERT_FALSE(sample(config, folder_ / "run", stop_at(12, false)));
  const auto rows = read_npy(folder_ / "run/energy.npy").shape.front();
  ASSERT_GT(rows, 0);
  ASSERT_LT(rows, config.sample.steps);
  // As one that got further, with half a row that no header counts.
  NpyRows(folder_ / "run/energy.npy", {7}, rows).append(std::vector<float>(70, 1.0F));
  NpyRows(folder_ / "run/gradient.npy", {7}, rows).append(std::vector<float>(35, 1.0F));
  write_bytes(folder_ / "run/energy.npy", read_bytes(folder_ / "run/energy.npy") + "half");
  const auto snapshots = read_npy(folder_ / "run/states.npy").shape.front();
  NpyRows(folder_ / "run/states.npy", {7, 2}, snapshots).append(std::vector<float>(14, 1.0F));
  write_bytes(folder_ / "run/steps.csv", read_bytes(folder_ / "run/steps.csv") + "1,2,3");
  write_bytes(folder_ / "run/state.safetensors.tmp", "half");
  EXPECT_TRUE(sample(config, folder_ / "run"));
  fs::remove(folder_ / "run/state.safetensors.tmp");
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(ResumedSampling, KilledBeforeItsFirstStateItBeginsAgain) {
  sample(toy(), folder_ / "whole");
  ASSERT_FALSE(sample(toy(), folder_ / "run", stop_at(5, false)));
  fs::remove(folder_ / "run/state.safetensors");
  EXPECT_TRUE(sample(toy(), folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(ResumedSampling, AFinishedRunStaysAsItIsAndCanBeMadeLonger) {
  sample(by_mala(toy()), folder_ / "whole");
  SampleConfig config = by_mala(toy());
  config.sample.steps = 1700;  // of which steps.csv has every one, and not every second
  sample(config, folder_ / "run");
  fs::copy(folder_ / "run", folder_ / "finished", fs::copy_options::recursive);
  EXPECT_TRUE(sample(config, folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "finished"), "");
  EXPECT_TRUE(sample(by_mala(toy()), folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
  const std::string message =
      message_of<ConfigurationError>([&] { sample(config, folder_ / "run"); });
  EXPECT_TRUE(mentions(message, {"sample.steps: 1700", "2120"})) << message;
}

TEST_F(ResumedSampling, KeepsAnEditedScript) {
  ASSERT_FALSE(sample(toy(), folder_ / "run", stop_at(5, false)));
  write_bytes(folder_ / "run/energy.gp", "# mine\n");
  EXPECT_TRUE(sample(toy(), folder_ / "run"));
  EXPECT_EQ(read_bytes(folder_ / "run/energy.gp"), "# mine\n");
}

TEST_F(ResumedSampling, IsRefusedWithADamagedStateOrShortRecords) {
  ASSERT_FALSE(sample(toy(), folder_ / "run", stop_at(12, false)));
  const fs::path state = folder_ / "run/state.safetensors";
  const std::string bytes = read_bytes(state);
  std::string damaged = bytes;
  damaged[damaged.size() * 3 / 4] ^= 1;
  const auto message = [&](const SampleConfig& config) {
    return message_of<InputFileError>([&] { sample(config, folder_ / "run"); });
  };
  write_bytes(state, damaged);
  EXPECT_TRUE(mentions(message(toy()), {"state.safetensors", "is damaged"}));
  write_bytes(state, bytes);
  SampleConfig more = toy();
  more.sample.chains = 8;
  EXPECT_TRUE(mentions(message(more), {"state.safetensors", "'states' has 14", "16"}));
  NpyRows(folder_ / "run/gradient.npy", {7}, 1);
  EXPECT_TRUE(mentions(message(toy()), {"gradient.npy", "has 1 rows", "needs"}));
}

}  // namespace
}  // namespace ebm
