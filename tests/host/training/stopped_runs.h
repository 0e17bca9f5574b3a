// Training runs that are stopped and go on.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <optional>

#include "tests/support/environment_variable.h"
#include "tests/support/run_training.h"

namespace ebm {

/// Without gnuplot, which takes longer than the runs.
class Resume : public testing::Test {
  EnvironmentVariable path_{"PATH", "/nowhere"};
};

/// Asks to stop from its n-th question on, and to give the iteration up at once or never.
inline StopRequest stop_at(int question, bool at_once) {
  return [question, at_once, asked = 0]() mutable -> std::optional<double> {
    return ++asked < question ? std::nullopt : std::optional(at_once ? HUGE_VAL : 0.0);
  };
}

/// Stops a run at one question after another until it is not stopped any more, and compares each,
/// once it has gone on, with the run that never stopped.
inline void expect_same_bits_wherever_stopped(const TrainConfig& config, bool at_once, int step) {
  const TemporaryFolder folder;
  ASSERT_TRUE(train(config, folder / "whole"));
  int question = 1;
  for (;; question += step) {
    const std::filesystem::path run = folder / fmt::format("stopped_{}", question);
    if (train(config, run, stop_at(question, at_once))) {
      break;
    }
    ASSERT_TRUE(train(config, run));
    ASSERT_EQ(differing_files(run, folder / "whole"), "") << "stopped at question " << question;
    std::filesystem::remove_all(run);
  }
  EXPECT_GT(question, 5) << "never asked";
}

}  // namespace ebm
