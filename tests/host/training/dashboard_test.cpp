#include "host/training/dashboard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "tests/support/event_records.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/picture_files.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using tensorboard::Event;
using tensorboard::Summary;

constexpr int kLangevinSteps = 50;

/// Iterations `first` to `last`, half a second each, of which 0.4 s are busy.
std::vector<IterationRecord> iterations(std::int64_t first, std::int64_t last,
                                        std::int64_t begun = 0) {
  std::vector<IterationRecord> records;
  for (std::int64_t i = first; i <= last; ++i) {
    IterationRecord record;
    record.iteration = i;
    record.d_s = 0.25 * static_cast<double>(i);
    record.r_s = 2.0 * static_cast<double>(i);
    record.learning_rate = 1.0 / static_cast<double>(i);
    record.mean_f_data = 3.0 * static_cast<double>(i);
    record.mean_f_samples = 4.0 * static_cast<double>(i);
    record.seconds = 0.5 * static_cast<double>(i - begun);
    record.busy_seconds = 0.4 * static_cast<double>(i - begun);
    records.push_back(record);
  }
  return records;
}

/// Steps and values of every curve.
using Curves = std::map<std::string, std::vector<std::pair<std::int64_t, float>>>;

Curves curves(const TemporaryFolder& folder) {
  Curves found;
  for (const Event& event : events_after_start(folder)) {
    for (const Summary::Value& value : event.summary().value()) {
      if (!value.has_image()) {
        found[value.tag()].emplace_back(event.step(), value.simple_value());
      }
    }
  }
  return found;
}

/// Steps and files of all pictures under a tag.
using Pictures = std::vector<std::pair<std::int64_t, std::string>>;

Pictures pictures(const TemporaryFolder& folder, const std::string& tag) {
  Pictures found;
  for (const Event& event : events_after_start(folder)) {
    for (const Summary::Value& value : event.summary().value()) {
      if (value.has_image() && value.tag() == tag) {
        found.emplace_back(event.step(), value.image().encoded_image_string());
      }
    }
  }
  return found;
}

TEST(Dashboard, HasTheDiagnosisOfEveryIterationAndTheRestAtLogPoints) {
  const TemporaryFolder folder;
  Dashboard dashboard(folder.path(), 1, kLangevinSteps);
  dashboard.add(iterations(1, 1));
  dashboard.add(iterations(2, 4));
  dashboard.add({});
  const Curves expected = {
      {"diagnostics/d_s", {{1, 0.25F}, {2, 0.5F}, {3, 0.75F}, {4, 1.0F}}},
      {"diagnostics/r_s", {{1, 2.0F}, {2, 4.0F}, {3, 6.0F}, {4, 8.0F}}},
      {"diagnostics/learning_rate", {{1, 1.0F}, {4, 0.25F}}},
      {"diagnostics/mean_f_data", {{1, 3.0F}, {4, 12.0F}}},
      {"diagnostics/mean_f_samples", {{1, 4.0F}, {4, 16.0F}}},
      {"diagnostics/steps_per_second", {{1, 125.0F}, {4, 125.0F}}},
  };
  Curves found = curves(folder);
  for (auto& [step, speed] : found["diagnostics/steps_per_second"]) {
    EXPECT_NEAR(speed, 125, 1e-3);
    speed = 125;
  }
  EXPECT_EQ(found, expected);
}

TEST(Dashboard, CountsTheSpeedOfARunThatGoesOnFromItsFirstIteration) {
  const TemporaryFolder folder;
  Dashboard dashboard(folder.path(), 1001, kLangevinSteps);
  dashboard.add(iterations(1001, 1002, 1000));
  EXPECT_NEAR(curves(folder)["diagnostics/steps_per_second"].at(0).second, 125, 1e-3);
}

TEST(Dashboard, DatesIterationsByTheirSeconds) {
  const TemporaryFolder folder;
  Dashboard dashboard(folder.path(), 1, kLangevinSteps);
  const double before = wall_time();
  dashboard.add(iterations(1, 3));
  const double after = wall_time();
  const std::vector<Event> events = events_after_start(folder);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_GE(events[2].wall_time(), before);
  EXPECT_LE(events[2].wall_time(), after);
  EXPECT_NEAR(events[2].wall_time() - events[0].wall_time(), 1.0, 1e-6);
  EXPECT_EQ(events[3].wall_time(), events[2].wall_time());
}

TEST(Dashboard, TakesATenthOfAKilobyteAnIteration) {
  const TemporaryFolder folder;
  Dashboard dashboard(folder.path(), 1, kLangevinSteps);
  dashboard.add(iterations(1'000'000, 1'000'000));
  const std::filesystem::path file = folder / folder.names().at(0);
  const auto before = std::filesystem::file_size(file);
  dashboard.add(iterations(1'000'001, 1'001'000));
  EXPECT_LT(std::filesystem::file_size(file) - before, 100'000U);
}

TEST(Dashboard, HasTheSummaryOfLandscapes) {
  const TemporaryFolder folder;
  Dashboard dashboard(folder.path(), 1, kLangevinSteps);
  LandscapeSummary summary;
  summary.kl_learned = 0.5;
  summary.l1_learned = 0.25;
  summary.l1_shortrun = 0.125;
  dashboard.add(100, summary);
  const Curves expected = {{"landscape/kl_learned", {{100, 0.5F}}},
                           {"landscape/l1_learned", {{100, 0.25F}}},
                           {"landscape/l1_shortrun", {{100, 0.125F}}}};
  EXPECT_EQ(curves(folder), expected);
}

class DashboardPictures : public testing::Test {
 protected:
  std::string write_picture(const std::string& name, unsigned seed = 0) {
    const std::string png = png_bytes(smooth_picture(8, 8, 3, seed));
    write_bytes(drawn_ / name, png);
    return png;
  }

  TemporaryFolder events_;
  TemporaryFolder drawn_;
  Dashboard dashboard_{events_.path(), 1, kLangevinSteps};
};

TEST_F(DashboardPictures, AreTakenAtOnceWhereTheyAreDrawn) {
  const std::string x = write_picture("x.png", 1);
  const std::string bank = write_picture("bank.png", 2);
  dashboard_.add_picture(10, "shortrun/x", drawn_ / "x.png");
  dashboard_.add_picture(10, "shortrun/bank", drawn_ / "bank.png");
  EXPECT_EQ(pictures(events_, "shortrun/x"), (Pictures{{10, x}}));
  EXPECT_EQ(pictures(events_, "shortrun/bank"), (Pictures{{10, bank}}));
}

TEST_F(DashboardPictures, AreOneForEveryFivePercentOfTheRun) {
  write_picture("x.png");
  for (std::int64_t iteration = 1; iteration <= 1000; ++iteration) {
    dashboard_.add_picture(iteration, "shortrun/x", drawn_ / "x.png");
  }
  const Pictures taken = pictures(events_, "shortrun/x");
  ASSERT_GT(taken.size(), 50U);
  EXPECT_EQ(taken[0].first, 1);
  for (std::size_t i = 1; i < taken.size(); ++i) {
    const auto before = static_cast<double>(taken[i - 1].first);
    EXPECT_EQ(static_cast<double>(taken[i].first), std::ceil(1.05 * before));
  }
}

TEST_F(DashboardPictures, AreWaitedForUntilTheNextLogPoints) {
  dashboard_.add_picture(1, "landscape/landscape", drawn_ / "1.png");
  dashboard_.add(iterations(1, 1));
  EXPECT_TRUE(pictures(events_, "landscape/landscape").empty());
  const std::string png = write_picture("1.png");
  dashboard_.add(iterations(2, 2));
  dashboard_.add(iterations(3, 3));
  EXPECT_EQ(pictures(events_, "landscape/landscape"), (Pictures{{1, png}}));
}

TEST_F(DashboardPictures, AreTakenBeforeTheNextAndAtTheEnd) {
  dashboard_.add_picture(1, "landscape/landscape", drawn_ / "1.png");
  const std::string first = write_picture("1.png", 1);
  dashboard_.add_picture(2, "landscape/landscape", drawn_ / "2.png");
  const std::string second = write_picture("2.png", 2);
  dashboard_.finish();
  EXPECT_EQ(pictures(events_, "landscape/landscape"), (Pictures{{1, first}, {2, second}}));
}

/// A later step in the file would make readers forget the earlier one.
TEST_F(DashboardPictures, AreGivenUpWhenTheNextIsDue) {
  dashboard_.add_picture(1, "landscape/landscape", drawn_ / "1.png");
  dashboard_.add_picture(2, "landscape/landscape", drawn_ / "2.png");
  write_picture("1.png", 1);
  const std::string second = write_picture("2.png", 2);
  dashboard_.finish();
  EXPECT_EQ(pictures(events_, "landscape/landscape"), (Pictures{{2, second}}));
}

TEST_F(DashboardPictures, ThatCannotBeReadDoNotEndTheRun) {
  write_bytes(drawn_ / "text.png", "not a picture");
  std::filesystem::create_directory(drawn_ / "folder.png");
  dashboard_.add_picture(1, "shortrun/x", drawn_ / "text.png");
  dashboard_.add_picture(1, "shortrun/bank", drawn_ / "folder.png");
  dashboard_.add(iterations(1, 1));
  EXPECT_TRUE(pictures(events_, "shortrun/x").empty());
  EXPECT_TRUE(pictures(events_, "shortrun/bank").empty());
  EXPECT_EQ(curves(events_)["diagnostics/d_s"].size(), 1U);
}

TEST(Dashboard, SaysThatTheDiskIsFull) {
  const TemporaryFolder folder;
  Dashboard dashboard(folder.path(), 1, kLangevinSteps);
  const FileSizeLimit limit(1000);
  EXPECT_TRUE(mentions(message_of<OutputError>([&] { dashboard.add(iterations(1, 100)); }),
                       {(folder / "events.out.tfevents.").string(), "File too large"}));
}

}  // namespace
}  // namespace ebm
