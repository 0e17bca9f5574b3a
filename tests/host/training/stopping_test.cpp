// Signals, locks and --resume, as a user of ebm_train meets them.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "host/files/npy.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

class Stopping : public testing::Test {
 protected:
  static std::string ebm_train(const std::string& arguments) {
    return "PATH=/nowhere " + program_path("ebm_train") + " " + arguments;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// A toy experiment of a second or so.
  std::string toy() const {
    write_bytes(folder_ / "toy.yaml",
                "name: small\n"
                "data: {kind: gmm}\n"
                "network: {kind: toy}\n"
                "optimizer: {kind: adam, lr: 0.001}\n"
                "langevin: {epsilon: 0.125, steps: 20, init: persistent, bank_size: 100}\n"
                "train: {iterations: 600, batch_size: 50}\n"
                "log: {every: 50}\n"
                "checkpoint: {every: 20}\n"
                "landscape: {every: 0}\n");
    return path("toy.yaml");
  }
  /// One whose first iteration takes hours.
  std::string endless() const {
    return toy() + " --set langevin.steps=1000000000 --set checkpoint.grace=0.5";
  }
  /// Runs the program, and `then`, a shell command with its number in $run, once `file` is there.
  Outcome while_running(const std::string& arguments, const std::string& file,
                        const std::string& then) const {
    return shell(ebm_train(arguments) + " & run=$!; while ! [ -e " + path(file) +
                 " ]; do sleep 0.01; done; " + then + "; wait $run");
  }

  TemporaryFolder folder_;
};

TEST_F(Stopping, ASignalSavesTheRunWhichGoesOnToTheSameBits) {
  ASSERT_EQ(shell(ebm_train(toy() + " --quiet --out " + path("whole"))).status, 0);
  for (const std::string signal : {"TERM", "INT", "USR1", "HUP"}) {
    const std::string run = "run_" + signal;
    // A background command of a shell ignores SIGINT until it asks for it, which ours does.
    const Outcome stopped = while_running(toy() + " --out " + path(run),
                                          run + "/checkpoints/latest", "kill -" + signal + " $run");
    ASSERT_EQ(stopped.status, 75) << stopped.output;
    EXPECT_TRUE(mentions(stopped.output,
                         {"stopped by SIG" + signal + " after iteration", "--resume " + path(run)}))
        << stopped.output;
    const Outcome resumed = shell(ebm_train("--resume " + path(run)));
    ASSERT_EQ(resumed.status, 0) << resumed.output;
    EXPECT_TRUE(mentions(resumed.output, {"going on after iteration", "of 600", "done"}));
    EXPECT_EQ(differing_files(folder_ / run, folder_ / "whole"), "");
    EXPECT_TRUE(mentions(read_bytes(folder_ / run / "log.txt"), {"stopped by", "done"}));
  }
}

TEST_F(Stopping, ASamplingRunGoesOnToTheSameBitsToo) {
  ASSERT_EQ(
      shell(ebm_train(toy() + " --quiet --set train.iterations=20 --out " + path("net"))).status,
      0);
  write_bytes(folder_ / "sample.yaml",
              "name: chains\n"
              "network: {kind: toy}\n"
              "start: uniform\n"
              "sample: {checkpoint: " +
                  path("net/checkpoints/net_000020.safetensors") +
                  ", train_epsilon: 0.125, epsilon: 0.125, steps: 100000000, chains: 20, mala: "
                  "true}\n"
                  "log: {every: 1000}\n");
  const std::string program = "PATH=/nowhere " + program_path("ebm_sample") + " ";
  const std::string config = path("sample.yaml") + " --set name=chains";
  const auto wait_and = [&](const std::string& run, const std::string& then) {
    return " & run=$!; while ! [ -e " + path(run) +
           "/state.safetensors ]; do /bin/sleep 0.01; done; " + then + "; wait $run";
  };
  for (const std::string signal : {"TERM", "INT", "USR1", "HUP", "KILL"}) {
    const std::string run = "run_" + signal;
    const Outcome stopped = shell(program + config + " --threads 1 --out " + path(run) +
                                  wait_and(run, "/bin/sleep 0.1; kill -" + signal + " $run"));
    if (signal == "KILL") {
      ASSERT_EQ(stopped.status, 128 + SIGKILL) << stopped.output;
    } else {
      ASSERT_EQ(stopped.status, 75) << stopped.output;
      EXPECT_TRUE(mentions(stopped.output, {"stopped by SIG" + signal + " after step",
                                            "ebm_sample --resume " + path(run)}))
          << stopped.output;
    }
    // What was sampled may be gone by then.
    fs::remove(folder_ / "net/checkpoints/net_000020.safetensors");
    const std::int64_t steps = read_npy(folder_ / run / "energy.npy").shape.front() + 333;
    const std::string more = fmt::format(" --threads 2 --set sample.steps={}", steps);
    const Outcome resumed = shell(program + "--resume " + path(run) + more);
    ASSERT_EQ(resumed.status, 0) << resumed.output;
    EXPECT_TRUE(mentions(resumed.output, {"going on after step", "done"})) << resumed.output;
    fs::copy(folder_ / run / "network.safetensors",
             folder_ / "net/checkpoints/net_000020.safetensors");
    const std::string whole = "whole_" + signal;
    ASSERT_EQ(shell(program + config + more + " --quiet --out " + path(whole)).status, 0);
    EXPECT_EQ(differing_files(folder_ / run, folder_ / whole), "");
  }
  const Outcome refused =
      shell(program + "--resume " + path("run_TERM") + " --set sample.epsilon=0.1");
  EXPECT_EQ(refused.status, 2);
  EXPECT_TRUE(mentions(refused.output,
                       {"--set sample.epsilon=0.1", "can only change sample.steps", "--out DIR"}));
  const Outcome other = shell(program + "--resume " + path("net"));
  EXPECT_EQ(other.status, 2);
  EXPECT_TRUE(mentions(other.output, {path("net"), "is not a sampling run"})) << other.output;
  const Outcome advice = shell(program + path("sample.yaml") + " --out " + path("run_TERM"));
  EXPECT_TRUE(mentions(advice.output, {"not empty", "ebm_sample --resume " + path("run_TERM")}));
  const Outcome training = shell(program + path("sample.yaml") + " --out " + path("net"));
  EXPECT_TRUE(mentions(training.output, {"not empty", "ebm_train --resume " + path("net")}));
}

// The program of a terminal that is closed: its output goes nowhere, and it is sent SIGHUP.
TEST_F(Stopping, AClosedTerminalSavesTheRun) {
  for (const bool goes_on : {false, true}) {  // as under nohup
    const std::string run = goes_on ? "goes_on" : "stops";
    const std::string command = std::string(goes_on ? "trap '' HUP; " : "") + "exec " +
                                program_path("ebm_train") + " " + toy() + " --out " + path(run);
    int terminal = -1;
    const pid_t process = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    ASSERT_GE(process, 0);
    if (process == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    while (!std::filesystem::exists(folder_ / run / "checkpoints/latest") &&
           ::kill(process, 0) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::close(terminal);
    int status = 0;
    ASSERT_EQ(::waitpid(process, &status, 0), process);
    ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), goes_on ? 0 : 75);
    EXPECT_TRUE(mentions(read_bytes(folder_ / run / "log.txt"), {goes_on ? "done" : "SIGHUP"}));
  }
}

TEST_F(Stopping, AnIterationThatTakesLongerThanTheGraceIsGivenUp) {
  const Outcome stopped = while_running(endless() + " --out " + path("run"), "run/diagnostics.csv",
                                        "sleep 1; kill $run");
  EXPECT_EQ(stopped.status, 75) << stopped.output;
  EXPECT_TRUE(mentions(stopped.output, {"stopped by SIGTERM after iteration 0"}));
}

TEST_F(Stopping, ASecondSignalEndsItAtOnce) {
  const Outcome killed =
      while_running(endless() + " --set checkpoint.grace=1000 --out " + path("run"),
                    "run/diagnostics.csv", "sleep 1; kill $run; sleep 0.2; kill $run");
  EXPECT_EQ(killed.status, 128 + SIGTERM) << killed.output;
}

TEST_F(Stopping, TwoProcessesCannotWriteOneRun) {
  const Outcome both =
      while_running(endless() + " --out " + path("run"), "run/diagnostics.csv",
                    ebm_train("--resume " + path("run")) + "; echo status $?; kill $run");
  EXPECT_TRUE(mentions(both.output, {"run is being written by process", "status 2"}))
      << both.output;
  EXPECT_EQ(both.status, 75) << both.output;
}

TEST_F(Stopping, ResumeChangesOnlyWhatMakesNoDifference) {
  const std::string run = path("run");
  ASSERT_EQ(shell(ebm_train(toy() + " --quiet --set train.iterations=40 --out " + run)).status, 0);
  const std::string configuration = read_bytes(folder_ / "run/config.yaml");
  for (const std::string change : {"seed=7", "optimizer.lr=0.1", "train.batch_size=7",
                                   "langevin.steps=3", "network.kind=custom", "data.kind=rings"}) {
    const Outcome refused = shell(ebm_train("--resume " + run + " --set " + change));
    EXPECT_EQ(refused.status, 2) << refused.output;
    EXPECT_TRUE(mentions(refused.output, {"--set " + change, "can only change train.iterations",
                                          "ebm_train " + run + "/config.yaml --from " + run}))
        << refused.output;
  }
  EXPECT_EQ(read_bytes(folder_ / "run/config.yaml"), configuration);
  const Outcome longer =
      shell(ebm_train("--resume " + run +
                      " --set train.iterations=60 --set log.every=30 --threads 2 --device cpu"));
  EXPECT_EQ(longer.status, 0) << longer.output;
  EXPECT_EQ(read_csv(folder_ / "run/diagnostics.csv", 1).size(), 60U);
  EXPECT_TRUE(mentions(read_bytes(folder_ / "run/config.yaml"), {"iterations: 60"}));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/environment_2.json"));
}

TEST_F(Stopping, ResumeWantsTheFolderOfARun) {
  std::filesystem::create_directory(folder_ / "empty");
  const Outcome empty = shell(ebm_train("--resume " + path("empty")));
  EXPECT_EQ(empty.status, 2);
  EXPECT_TRUE(mentions(empty.output, {"empty", "no config.yaml"}));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "empty"));
  EXPECT_EQ(shell(ebm_train("--resume " + path("none"))).status, 2);
  EXPECT_EQ(shell(ebm_train(toy() + " --resume " + path("empty"))).status, 2);
  EXPECT_EQ(shell(ebm_train("--resume a --out b")).status, 2);
  ASSERT_EQ(
      shell(ebm_train(toy() + " --quiet --set train.iterations=20 --out " + path("run"))).status,
      0);
  const Outcome again = shell(ebm_train(toy() + " --out " + path("run")));
  EXPECT_EQ(again.status, 2);
  EXPECT_TRUE(mentions(again.output, {"not empty", "--resume " + path("run")})) << again.output;
}

}  // namespace
}  // namespace ebm
