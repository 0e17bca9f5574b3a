#include "host/output/event_file.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "cuda/base/errors.h"
#include "tests/support/event_records.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/picture_files.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using tensorboard::Event;
using tensorboard::SessionLog;
using tensorboard::Summary;

bool add_picture(EventFile& file, const std::string& png) {
  return file.add_picture(7, 1.5e9, "shortrun/x", std::as_bytes(std::span(png)));
}

/// RFC 3720, B.4: the checksum that read_events() holds records against.
TEST(Crc32c, HasTheKnownValues) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  std::string ascending(32, '\0');
  std::iota(ascending.begin(), ascending.end(), '\0');
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
  EXPECT_EQ(crc32c(std::string(ascending.rbegin(), ascending.rend())), 0x113FDB5CU);
}

TEST(EventFile, BeginsWithTheVersionAndTheFirstStep) {
  const TemporaryFolder folder;
  const double before = wall_time();
  const EventFile file(folder / "run/tensorboard", 41);
  const double after = wall_time();
  std::vector<Event> events;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run/tensorboard")) {
    EXPECT_TRUE(entry.path().filename().string().starts_with("events.out.tfevents."));
    events = read_events(entry.path());
  }
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].step(), 41);
  EXPECT_EQ(events[1].session_log().status(), SessionLog::START);
  for (const Event& event : events) {
    EXPECT_GE(event.wall_time(), before);
    EXPECT_LE(event.wall_time(), after);
  }
}

TEST(EventFile, NamesSortAsFilesAreMade) {
  const TemporaryFolder folder;
  constexpr int kFiles = 20;
  for (int i = 0; i < kFiles; ++i) {
    const EventFile file(folder.path(), i);
  }
  const std::vector<std::string> names = folder.names();
  ASSERT_EQ(names.size(), kFiles);
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_EQ(read_events(folder / names[static_cast<std::size_t>(i)])[1].step(), i);
  }
}

TEST(EventFile, HoldsScalarsAsFloats) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  const std::array scalars = {NamedScalar{"diagnostics/d_s", -0.1},
                              NamedScalar{"diagnostics/r_s", 1e300}};
  constexpr std::int64_t kStep = 5'000'000'000;  // more than 32 bits
  file.add_scalars(kStep, 1.5e9, scalars);
  file.flush();
  const std::vector<Event> events = events_after_start(folder);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].step(), kStep);
  EXPECT_EQ(events[0].wall_time(), 1.5e9);
  ASSERT_EQ(events[0].summary().value_size(), 2);
  EXPECT_EQ(events[0].summary().value(0).tag(), "diagnostics/d_s");
  EXPECT_EQ(events[0].summary().value(0).simple_value(), -0.1F);
  EXPECT_EQ(events[0].summary().value(1).tag(), "diagnostics/r_s");
  EXPECT_EQ(events[0].summary().value(1).simple_value(), std::numeric_limits<float>::infinity());
}

TEST(EventFile, HoldsPicturesWithTheirSizes) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  for (const int channels : {1, 3}) {
    const std::string png = png_bytes(smooth_picture(20, 30, channels));
    EXPECT_TRUE(add_picture(file, png));
    file.flush();
    const Event event = events_after_start(folder).back();
    EXPECT_EQ(event.step(), 7);
    EXPECT_EQ(event.wall_time(), 1.5e9);
    ASSERT_EQ(event.summary().value_size(), 1);
    EXPECT_EQ(event.summary().value(0).tag(), "shortrun/x");
    const Summary::Image& image = event.summary().value(0).image();
    EXPECT_EQ(image.height(), 20);
    EXPECT_EQ(image.width(), 30);
    EXPECT_EQ(image.colorspace(), channels);
    EXPECT_EQ(image.encoded_image_string(), png);
  }
}

TEST(EventFile, RefusesWhatIsNotAPng) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  const std::string png = png_bytes(smooth_picture(20, 30, 3));
  for (const std::string& bytes :
       {std::string(), std::string("GIF89a"), png.substr(0, 20), jpeg_bytes({{1}, 1, 1, 1})}) {
    EXPECT_FALSE(add_picture(file, bytes));
  }
  file.flush();
  EXPECT_TRUE(events_after_start(folder).empty());
}

TEST(EventFile, KeepsRecordsInMemoryUntilTheFlush) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  file.add_scalars(1, 0, {});
  EXPECT_EQ(events_after_start(folder).size(), 0U);
  file.flush();
  EXPECT_EQ(events_after_start(folder).size(), 1U);
  file.flush();
  EXPECT_EQ(events_after_start(folder).size(), 1U);
}

TEST(EventFile, NeverEndsInPartOfARecordWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  EXPECT_TRUE(add_picture(file, png_bytes(smooth_picture(100, 100, 3))));
  std::string message;
  {
    const FileSizeLimit limit(200);
    message = message_of<OutputError>([&] { file.flush(); });
  }
  EXPECT_TRUE(mentions(message, {(folder / "events.out.tfevents.").string(), "File too large"}));
  EXPECT_TRUE(events_after_start(folder).empty());
  file.flush();
  EXPECT_EQ(events_after_start(folder).size(), 1U);
}

TEST(EventFile, NamesAFolderThatCannotBeMade) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "");
  const std::filesystem::path inside = folder / "file/tensorboard";
  EXPECT_TRUE(mentions(message_of<OutputError>([&] { EventFile(inside, 1); }),
                       {"cannot make the folder " + inside.string(), "Not a directory"}));
}

}  // namespace
}  // namespace ebm
