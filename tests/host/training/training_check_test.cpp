#include "host/training/training_check.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/run_training.h"

namespace ebm {
namespace {

TEST(TrainingCheck, TellsTimeFromWhatWasMeasured) {
  TrainConfig toy = toy_config();
  toy.train.iterations = 2000;
  toy.langevin.steps = 100;
  EXPECT_EQ(describe_time({.iterations = 50, .seconds = 1.0}, toy),
            "time: about 0:40, for 2,000 iterations of 20 ms; measured just now: 50 iterations in "
            "1.0 s");
  toy.landscape.every = 500;  // and after the first iteration
  EXPECT_EQ(
      describe_time({.iterations = 50, .seconds = 1.0, .landscape = 4}, toy),
      "time: about 1:00, for 2,000 iterations of 20 ms and 5 landscapes of 4 s; measured just "
      "now: 50 iterations in 1.0 s");
  TrainConfig images = image_config(NetworkKind::vanilla, "none");
  images.train.iterations = 10'000;
  images.langevin.steps = 100;
  images.longrun = {.every = 5000, .steps = 20'000};
  EXPECT_EQ(describe_time({.steps = 40, .seconds = 1.2}, images),
            "time: about 8:40:00, for 10,000 iterations of 3 s and 2 long runs of 10:00; measured "
            "just now: 40 Langevin steps in 1.2 s, and an iteration has 100");
}

TEST(TrainingCheck, MeasuresIterationsAndLandscapes) {
  const TemporaryFolder folder;
  RunLog log(folder / "log.txt", true);
  TrainConfig config = toy_config();
  const RunMeasurement toy = measure_run(config, tested_device(config), log);
  EXPECT_GT(toy.iterations, 0);
  EXPECT_GE(toy.seconds, 1);
  EXPECT_EQ(toy.steps, 0);
  EXPECT_EQ(toy.landscape, 0);
  config.landscape.every = 3;
  EXPECT_GT(measure_run(config, tested_device(config), log).landscape, 0);
  EXPECT_TRUE(mentions(read_bytes(folder / "log.txt"), {"memory: about "}));
}

TEST(TrainingCheck, OfIterationsThatTakeMinutesMeasuresSteps) {
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", 12);
  RunLog log(folder / "log.txt", true);
  TrainConfig config = image_config(NetworkKind::vanilla, folder / "data");
  config.langevin.steps = 10'000'000;
  const RunMeasurement measured = measure_run(config, tested_device(config), log);
  EXPECT_EQ(measured.iterations, 0);
  EXPECT_GT(measured.steps, 0);
  EXPECT_GE(measured.seconds, 1);
  EXPECT_TRUE(mentions(read_bytes(folder / "log.txt"), {"12 images of 1x32x32"}));
}

}  // namespace
}  // namespace ebm
