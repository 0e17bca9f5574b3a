// Runs that were stopped, killed or damaged, and go on: the same bits as the run that never
// stopped.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "cuda/base/errors.h"
#include "host/files/checked_tensors.h"
#include "tests/host/training/stopped_runs.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

TrainConfig toy_with_landscapes() {
  TrainConfig config = toy_config();
  config.landscape.every = 4;
  config.checkpoint.every = 2;
  config.checkpoint.keep = 2;
  return config;
}

TEST_F(Resume, AToyRunGoesOnFromWhereverItWasStopped) {
  expect_same_bits_wherever_stopped(toy_with_landscapes(), false, 1);
  expect_same_bits_wherever_stopped(toy_with_landscapes(), true, 2);
}

TEST_F(Resume, AnAdamRunWithLongChainsGoesOnFromWhereverItWasStopped) {
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", 30);
  TrainConfig config = image_config(NetworkKind::vanilla, folder / "data");
  config.network.features = 2;
  expect_same_bits_wherever_stopped(config, false, 1);
  config.langevin.init = InitialStates::uniform;
  config.optimizer.lr_decay = 0.5;
  config.optimizer.lr_min = 1e-5;
  expect_same_bits_wherever_stopped(config, true, 2);
}

/// As a run that an older version stopped has none.
TEST_F(Resume, ALongRunWithoutItsRecordsBeginsAnew) {
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", 12);
  const TrainConfig config = image_config(NetworkKind::vanilla, folder / "data");
  ASSERT_TRUE(train(config, folder / "whole"));
  int question = 1;
  const std::filesystem::path run = folder / "run";
  do {  // until it is in its first long run that it stops
    std::filesystem::remove_all(run);
    ASSERT_FALSE(train(config, run, stop_at(++question, false)));
  } while (!std::filesystem::exists(run / "checkpoints/longrun.safetensors") ||
           std::filesystem::file_size(run / "longrun/energy_000002.npy") < 200);
  ASSERT_TRUE(std::filesystem::remove(run / "longrun/energy_000002.npy"));
  ASSERT_TRUE(train(config, run));
  EXPECT_EQ(differing_files(run, folder / "whole"), "");
  EXPECT_TRUE(mentions(read_bytes(run / "log.txt"), {"energy_000002.npy", "begins anew"}));
}

TEST_F(Resume, StoppedInEveryIterationItEndsInTheSameBits) {
  const TrainConfig config = toy_with_landscapes();
  const TemporaryFolder folder;
  train(config, folder / "whole");
  int starts = 1;
  // The second question of a process comes in its first iteration.
  while (!train(config, folder / "run", stop_at(3, false))) {
    ++starts;
  }
  EXPECT_GT(starts, 3);
  EXPECT_EQ(differing_files(folder / "run", folder / "whole"), "");
}

TEST_F(Resume, AFinishedRunStaysAsItIsAndCanBeMadeLonger) {
  TrainConfig config = toy_with_landscapes();
  const TemporaryFolder folder;
  train(config, folder / "whole");
  config.train.iterations = 4;
  train(config, folder / "run");
  fs::copy(folder / "run", folder / "finished", fs::copy_options::recursive);
  EXPECT_TRUE(train(config, folder / "run"));
  EXPECT_EQ(differing_files(folder / "run", folder / "finished"), "");
  config.train.iterations = 6;
  train(config, folder / "run");
  EXPECT_EQ(differing_files(folder / "run", folder / "whole"), "");
}

TEST_F(Resume, WhatAKilledProcessLeftBehindItsStateIsCutOff) {
  const TrainConfig config = toy_with_landscapes();
  const TemporaryFolder folder;
  train(config, folder / "whole");
  ASSERT_FALSE(train(config, folder / "run", stop_at(5 * 2, false)));
  const auto append = [&](const char* file, const std::string& text) {
    write_bytes(folder / "run" / file, read_bytes(folder / "run" / file) + text);
  };
  append("diagnostics.csv", "6,1,1,0.1\n7,1");
  append("landscape/landscape.csv", "6,1,1,1\n");
  append("events.csv", "6,rollback,\"x\",2,0.5\n");
  write_bytes(folder / "run/checkpoints/state_000006.safetensors.tmp", "half");
  train(config, folder / "run");
  EXPECT_EQ(differing_files(folder / "run", folder / "whole"), "");
}

/// diagnostics.csv without the columns that older versions did not have.
std::string older_diagnostics(const fs::path& file) {
  std::istringstream lines(read_bytes(file));
  std::string older;
  for (std::string line; std::getline(lines, line);) {
    older += line.substr(0, line.rfind(',', line.rfind(',') - 1)) + '\n';
  }
  return older;
}

TEST_F(Resume, ARunOfAnOlderVersionGoesOnWithItsColumns) {
  TrainConfig config = toy_with_landscapes();
  const TemporaryFolder folder;
  train(config, folder / "whole");
  ASSERT_FALSE(train(config, folder / "run", stop_at(5 * 2, false)));
  const fs::path file = folder / "run/diagnostics.csv";
  const std::string begun = older_diagnostics(file);
  ASSERT_TRUE(begun.starts_with("iteration,d_s,r_s,learning_rate\n1,")) << begun;
  write_bytes(file, begun + "6,1,1,0.1\n7,1");
  ASSERT_TRUE(train(config, folder / "run"));
  EXPECT_EQ(read_bytes(file), older_diagnostics(folder / "whole/diagnostics.csv"));
  write_bytes(folder / "whole/diagnostics.csv", read_bytes(file));
  EXPECT_EQ(differing_files(folder / "run", folder / "whole"), "");
}

/// A run of four iterations of six, its newest state that of the fourth.
class DamagedRun : public Resume {
 protected:
  void SetUp() override {
    train(config_, folder_ / "whole");
    TrainConfig shorter = config_;
    shorter.train.iterations = 4;
    train(shorter, folder_ / "run");
  }
  fs::path checkpoint(const char* name) const { return folder_ / "run/checkpoints" / name; }
  /// Changes a byte well inside.
  static void damage(const fs::path& file) {
    std::string bytes = read_bytes(file);
    bytes[bytes.size() * 3 / 4] ^= 1;
    write_bytes(file, bytes);
  }
  std::string log() const { return read_bytes(folder_ / "run/log.txt"); }

  TrainConfig config_ = toy_with_landscapes();
  TemporaryFolder folder_;
};

TEST_F(DamagedRun, FallsBackToTheStateBeforeWithAWarning) {
  damage(checkpoint("state_000004.safetensors"));
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_TRUE(mentions(log(), {"state_000004.safetensors", "digest", "the state before it"}))
      << log();
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(DamagedRun, FallsBackFromACutAndFromAMissingState) {
  const std::string bytes = read_bytes(checkpoint("state_000004.safetensors"));
  write_bytes(checkpoint("state_000004.safetensors"), bytes.substr(0, bytes.size() / 2));
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
  fs::remove(checkpoint("state_000006.safetensors"));
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_TRUE(mentions(log(), {"state_000006.safetensors", "the state before it"})) << log();
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(DamagedRun, WithoutLatestTheNewestStateIsTaken) {
  fs::remove(checkpoint("latest"));
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(DamagedRun, IsRefusedWhenNoStateIsWhole) {
  damage(checkpoint("state_000002.safetensors"));
  damage(checkpoint("state_000004.safetensors"));
  fs::copy(folder_ / "run", folder_ / "before", fs::copy_options::recursive);
  config_.train.iterations = 4;
  const std::string message = message_of<InputFileError>([&] { train(config_, folder_ / "run"); });
  EXPECT_TRUE(mentions(message, {"run/checkpoints", "none of the states"})) << message;
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "before"), "");
}

TEST_F(DamagedRun, IsRefusedWhenTheRecordIsShorterThanTheState) {
  write_bytes(folder_ / "run/diagnostics.csv", "iteration,d_s,r_s,learning_rate\n1,1,1,0.1\n");
  const std::string message = message_of<InputFileError>([&] { train(config_, folder_ / "run"); });
  EXPECT_TRUE(mentions(message, {"diagnostics.csv", "1 lines", "4"})) << message;
}

TEST(Checkpoints, TheNewestAndEveryFewAreKept) {
  TrainConfig config = toy_config();
  config.train.iterations = 12;
  config.checkpoint = {.every = 1, .keep = 2, .keep_every = 5};
  const TemporaryFolder folder;
  train(config, folder / "run");
  std::vector<std::string> names;
  for (const auto& [name, content] : results(folder / "run/checkpoints")) {
    names.push_back(name);
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"latest", "net_000005.safetensors", "net_000010.safetensors",
                                      "net_000011.safetensors", "net_000012.safetensors",
                                      "state_000011.safetensors", "state_000012.safetensors"}));
  EXPECT_EQ(read_bytes(folder / "run/checkpoints/latest"), "state_000012.safetensors\n");
}

/// A run on 30 images that was stopped after two iterations.
class RunOnImages : public Resume {
 protected:
  void SetUp() override {
    write_small_mnist(folder_ / "data", 30);
    config_.network.features = 2;
    config_.longrun.every = 0;
    train(config_, folder_ / "whole");
    config_.train.iterations = 2;
    train(config_, folder_ / "run");
    config_.train.iterations = 4;
  }
  fs::path images(const char* data) const { return folder_ / data / "train-images-idx3-ubyte"; }

  TemporaryFolder folder_;
  TrainConfig config_ = image_config(NetworkKind::vanilla, folder_ / "data");
};

TEST_F(RunOnImages, GoesOnWhereTheSameImagesHaveMovedTo) {
  fs::rename(folder_ / "data", folder_ / "moved");
  const TrainConfig whole = config_;
  config_.data.path = (folder_ / "moved").string();
  EXPECT_TRUE(train(config_, folder_ / "run"));
  write_bytes(folder_ / "run/config.yaml", to_yaml(whole));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(RunOnImages, IsRefusedOnOtherImages) {
  fs::copy(folder_ / "run", folder_ / "before", fs::copy_options::recursive);
  const auto message = [&] {
    return message_of<InputFileError>([&] { train(config_, folder_ / "run"); });
  };
  const std::string bytes = read_bytes(images("data"));
  std::string other = bytes;
  other.back() ^= 1;  // as many, and one level of one pixel is another
  write_bytes(images("data"), other);
  const std::string changed = message();
  EXPECT_TRUE(mentions(changed, {config_.data.path, "30 images are not the 30",
                                 "state_000002.safetensors", "--from"}))
      << changed;
  write_small_mnist(folder_ / "data", 31);
  const std::string more = message();
  EXPECT_TRUE(mentions(more, {config_.data.path, "31 images are not the 30"})) << more;
  write_bytes(folder_ / "before/config.yaml", to_yaml(config_));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "before"), "");
  write_bytes(images("data"), bytes);
  write_bytes(folder_ / "data/t10k-images-idx3-ubyte", other);
  config_.data.split = DataSplit::test;
  EXPECT_TRUE(mentions(message(), {"data (test): its 30 images are not the 30", "data.split"}));
  config_.data.split = DataSplit::train;
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(RunOnImages, GoesOnFromAStateOfAnOlderVersionWhichDoesNotSayItsData) {
  const fs::path path = folder_ / "run/checkpoints/state_000002.safetensors";
  TensorFile state = read_checked_tensors(path);
  ASSERT_EQ(state.metadata.erase("data_digest"), 1);
  ASSERT_EQ(state.metadata.erase("data_images"), 1);
  std::vector<TensorView> tensors;
  for (const Tensor& tensor : state.tensors) {
    tensors.push_back({tensor.name, tensor.shape, tensor.values});
  }
  write_checked_tensors(path, tensors, state.metadata);
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST(TrainingState, OfAnotherRunIsRefused) {
  const TemporaryFolder folder;
  TrainConfig config = toy_config();
  train(config, folder / "run");
  config.langevin.bank_size = 61;
  const std::string bank = message_of<InputFileError>([&] { train(config, folder / "run"); });
  EXPECT_TRUE(mentions(bank, {"checkpoints", "none of the states"})) << bank;
  EXPECT_TRUE(mentions(read_bytes(folder / "run/log.txt"), {"'bank'", "120", "122"}));
}

}  // namespace
}  // namespace ebm
