// What a run says of the time it has left, by a clock that the tests turn.

#include "host/training/progress.h"

#include <gtest/gtest.h>

#include <string>

#include "host/training/schedule.h"

namespace ebm {
namespace {

TrainConfig config_of(DataKind data, std::int64_t iterations) {
  TrainConfig config;
  config.data.kind = data;
  config.train.iterations = iterations;
  config.langevin.steps = 100;
  config.landscape.every = 0;
  return config;
}

/// Iterations one after the other, and their time.
class FakeRun {
 public:
  explicit FakeRun(const TrainConfig& config, std::int64_t done = 0) : progress_(config, done) {
    record_.iteration = done;
  }

  void iterate(std::int64_t count, double seconds_each) {
    for (std::int64_t i = 0; i < count; ++i) {
      ++record_.iteration;
      record_.seconds += seconds_each;
      record_.busy_seconds += seconds_each;
      progress_.add(record_);
    }
  }
  /// Time goes by between iterations.
  void wait(double seconds) { record_.seconds += seconds; }
  /// "1:23".
  std::string left() {
    const std::string line = progress_.line(false);
    const std::size_t end = line.rfind(" left");
    const std::size_t begin = line.rfind(' ', end - 1) + 1;
    return line.substr(begin, end - begin);
  }

 private:
  Progress progress_;
  IterationRecord record_;
};

TEST(Progress, SaysHowFarAndHowFast) {
  const TrainConfig config = config_of(DataKind::gmm, 2000);
  Progress progress(config, 0);
  progress.add({{-0.03125, 0.0712345, 0.1}, 1200, 60.0, 30.0});
  EXPECT_EQ(progress.line(true),
            "iteration 1,200/2,000  d_s -0.03125  r_s 0.07123  lr 0.1  4,000 steps/s  0:40 left");
  EXPECT_EQ(duration(75), "1:15");
  EXPECT_EQ(duration(3675.4), "1:01:15");
}

TEST(TimeLeft, IsToldFromTheFirstIterationOn) {
  const TrainConfig config = config_of(DataKind::mnist, 100);
  FakeRun run(config, 40);
  run.iterate(1, 2);
  EXPECT_EQ(run.left(), "1:58");
  run.iterate(1, 2);
  EXPECT_EQ(run.left(), "1:56");
}

TEST(TimeLeft, CountsWhatIsWrittenBetweenIterations) {
  const TrainConfig config = config_of(DataKind::mnist, 1000);
  FakeRun run(config);
  for (int i = 0; i < 50; ++i) {
    run.iterate(10, 0.75);
    run.wait(2.5);
  }
  EXPECT_EQ(run.left(), "8:20");
}

/// A stopped process or a laptop asleep: of no iteration, however long.
TEST(TimeLeft, IsNotChangedByAPause) {
  const TrainConfig config = config_of(DataKind::mnist, 10'000);
  for (const double each : {1.0 / 64, 1.0, 30.0}) {
    FakeRun run(config);
    run.iterate(2000, each);
    run.iterate(1, 36'000 + each);  // within an iteration
    EXPECT_EQ(run.left(), duration(each * 7999)) << each;
    run.iterate(1, each);
    run.wait(36'000);  // between two
    run.iterate(1, each);
    EXPECT_EQ(run.left(), duration(each * 7997)) << each;
    run.iterate(997, each);
    EXPECT_EQ(run.left(), duration(each * 7000)) << each;
  }
}

TEST(TimeLeft, IsRightAgainSoonAfterAPauseAtTheBeginning) {
  const TrainConfig config = config_of(DataKind::mnist, 10'000);
  FakeRun run(config);
  run.iterate(1, 3601);
  run.iterate(10, 1);  // ten seconds
  EXPECT_EQ(run.left(), duration(9989));
}

TEST(TimeLeft, FollowsABusyHourWithinMinutes) {
  const TrainConfig config = config_of(DataKind::mnist, 100'000);
  FakeRun run(config);
  run.iterate(7200, 0.5);
  EXPECT_EQ(run.left(), duration(0.5 * 92'800));
  run.iterate(2400, 1.5);
  EXPECT_EQ(run.left(), duration(1.5 * 90'400));
  run.iterate(180, 0.5);  // a minute and a half
  EXPECT_EQ(run.left(), duration(0.5 * 90'220));
}

TEST(TimeLeft, CountsTheLandscapesToComeByTheLastFew) {
  TrainConfig config = config_of(DataKind::gmm, 1050);
  config.landscape.every = 100;
  FakeRun run(config);
  run.iterate(1, 1);
  run.wait(20);
  run.iterate(49, 1);
  EXPECT_EQ(run.left(), duration(1000 + 11 * 20));  // of 100 to 1000, and the last
  for (int i = 0; i < 3; ++i) {
    run.iterate(50, 1);
    run.wait(i == 1 ? 36'000 : 20);  // asleep in one of them
    run.iterate(50, 1);
  }
  EXPECT_EQ(run.left(), duration(700 + 8 * 20));
  run.iterate(50, 1);
  EXPECT_EQ(run.left(), duration(650 + 8 * 20));  // that of this iteration is still to come
}

TEST(TimeLeft, OfARunThatGoesOnKnowsNoLandscapeBeforeItsFirst) {
  TrainConfig config = config_of(DataKind::gmm, 400);
  config.landscape.every = 100;
  FakeRun run(config, 100);
  run.iterate(50, 1);
  EXPECT_EQ(run.left(), duration(250));
  run.iterate(50, 1);
  run.wait(30);
  run.iterate(1, 1);
  EXPECT_EQ(run.left(), duration(199 + 2 * 30));
}

TEST(TimeLeft, CountsTheLongRunsToComeByTheirSteps) {
  TrainConfig config = config_of(DataKind::mnist, 1000);
  config.longrun = {.every = 300, .steps = 50'000};
  FakeRun run(config);
  run.iterate(100, 2);
  EXPECT_EQ(run.left(), duration(900 * 2 + 3 * 1000));
  run.iterate(200, 2);
  run.wait(36'000);  // its own, asleep in it
  run.iterate(1, 2);
  EXPECT_EQ(run.left(), duration(699 * 2 + 2 * 1000));
}

TEST(Schedule, CountsWhatIsDueAsItComesDue) {
  for (const DataKind data : {DataKind::gmm, DataKind::mnist}) {
    for (const int every : {0, 1, 2, 7, 20, 30}) {
      TrainConfig config = config_of(data, 20);
      config.landscape.every = every;
      config.longrun.every = every;
      std::int64_t landscapes = 0;
      std::int64_t long_runs = 0;
      for (std::int64_t iteration = 20; iteration > 1; --iteration) {
        const Due due = due_after(iteration, config);
        landscapes += due.landscape ? 1 : 0;
        long_runs += due.long_run ? 1 : 0;
        EXPECT_EQ(landscapes_from(iteration, config), landscapes) << iteration << ' ' << every;
        EXPECT_EQ(long_runs_from(iteration, config), long_runs) << iteration << ' ' << every;
      }
    }
  }
}

}  // namespace
}  // namespace ebm
