// States are written while the iterations go on. The disk is held up by a pipe in place of the file
// that a state is first written to: whoever opens it waits until there is a reader, and cannot make
// it durable (fsync says EINVAL).

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <optional>
#include <string>

#include "cuda/base/errors.h"
#include "tests/host/training/stopped_runs.h"
#include "tests/support/places.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// A run of two iterations that will not get its state after the fourth to the disk.
class HeldWriter : public Resume {
 protected:
  void SetUp() override {
    config_.checkpoint.every = 2;
    config_.train.iterations = 2;
    train(config_, folder_ / "run");
    config_.train.iterations = 8;
    ASSERT_EQ(::mkfifo(pipe_.c_str(), 0600), 0);
  }

  /// Goes on with the run, asking `stop` with the iterations done, until it says why it cannot.
  template <class Stop>
  std::string failure(const Stop& stop) const {
    const RunFolder folder = RunFolder::reopen(folder_ / "run");
    RunLog log(folder.log(), true);
    const Trainer* running = nullptr;
    Trainer trainer(
        config_, folder, log, [&] { return stop(running->iteration()); }, tested_device(config_));
    running = &trainer;
    return message_of<OutputError>([&] { trainer.run(); });
  }
  std::string failure() const {
    return failure([](std::int64_t /*done*/) { return std::optional<double>(); });
  }
  /// Lets the writer go on, once it is there: all that it wrote.
  std::future<std::string> reader() const {
    return std::async(std::launch::async, [this] { return read_bytes(pipe_); });
  }
  std::string latest() const { return read_bytes(folder_ / "run/checkpoints/latest"); }

  TrainConfig config_ = toy_config();
  TemporaryFolder folder_;
  fs::path pipe_ = folder_ / "run/checkpoints/state_000004.safetensors.tmp";
};

TEST_F(HeldWriter, IterationsGoOnAndTheStateStaysThatOfItsIteration) {
  TrainConfig shorter = config_;
  shorter.train.iterations = 4;
  train(shorter, folder_ / "shorter");

  std::promise<void> fifth_is_done;
  auto reader = std::async(std::launch::async, [&] {
    // The clock only ends a test that fails.
    EXPECT_EQ(fifth_is_done.get_future().wait_for(std::chrono::minutes(2)),
              std::future_status::ready)
        << "iteration 5 waits for the disk";
    return read_bytes(pipe_);
  });
  bool is_done = false;
  std::int64_t last = 0;
  const std::string failed = failure([&](std::int64_t done) {
    last = done;
    if (done == 5 && !is_done) {
      EXPECT_EQ(latest(), "state_000002.safetensors\n");
      fifth_is_done.set_value();
      is_done = true;
    }
    return std::optional<double>();
  });
  EXPECT_TRUE(mentions(failed, {"cannot flush", "state_000004.safetensors"})) << failed;
  EXPECT_EQ(last, 5) << "the next state was due after iteration 6";
  EXPECT_EQ(reader.get(), read_bytes(folder_ / "shorter/checkpoints/state_000004.safetensors"));
  EXPECT_EQ(latest(), "state_000002.safetensors\n");
}

TEST_F(HeldWriter, AFailedRunGoesOnFromTheStateBefore) {
  train(config_, folder_ / "whole");
  auto written = reader();
  failure();
  written.get();
  EXPECT_EQ(latest(), "state_000002.safetensors\n");
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_EQ(differing_files(folder_ / "run", folder_ / "whole"), "");
}

TEST_F(HeldWriter, AFailureOfTheLastStateIsToldToo) {
  config_.train.iterations = 4;
  auto written = reader();
  failure();
  written.get();
  EXPECT_EQ(latest(), "state_000002.safetensors\n");
}

TEST_F(HeldWriter, AFailureIsToldWhereTheRunIsStopped) {
  auto written = reader();
  failure([](std::int64_t done) { return done == 5 ? std::optional(0.0) : std::nullopt; });
  written.get();
  EXPECT_EQ(latest(), "state_000002.safetensors\n");
  EXPECT_FALSE(fs::exists(folder_ / "run/checkpoints/state_000005.safetensors"));
}

TEST(Saving, AFailureIsStatusOneOfTheProgram) {
  const TemporaryFolder folder;
  write_bytes(folder / "toy.yaml",
              "name: small\n"
              "data: {kind: gmm}\n"
              "network: {kind: toy}\n"
              "optimizer: {kind: adam, lr: 0.001}\n"
              "langevin: {epsilon: 0.125, steps: 5, init: persistent, bank_size: 100}\n"
              "train: {iterations: 2, batch_size: 50}\n"
              "checkpoint: {every: 2}\n"
              "landscape: {every: 0}\n");
  const std::string run = (folder / "run").string();
  const std::string ebm_train = "PATH=/nowhere " + program_path("ebm_train");
  ASSERT_EQ(shell(ebm_train + " " + (folder / "toy.yaml").string() + " --out " + run).status, 0);
  const std::string pipe = run + "/checkpoints/state_000004.safetensors.tmp";
  const Outcome failed = shell("mkfifo " + pipe + "; cat " + pipe + " >/dev/null & " + ebm_train +
                               " --resume " + run + " --set train.iterations=20");
  EXPECT_EQ(failed.status, 1) << failed.output;
  EXPECT_TRUE(mentions(failed.output, {"cannot flush", "state_000004.safetensors"}))
      << failed.output;
  EXPECT_EQ(read_bytes(folder / "run/checkpoints/latest"), "state_000002.safetensors\n");
}

}  // namespace
}  // namespace ebm
