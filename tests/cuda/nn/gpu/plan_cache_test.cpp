// What a cache of plans gives back.

#include "cuda/nn/gpu/cudnn/plan_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using Plan = std::vector<std::uint8_t>;

const Plan kPlan = {1, 0, 255, 10, 13};

/// The only file in a folder.
std::filesystem::path only_file(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  EXPECT_EQ(files.size(), 1U);
  return files.at(0);
}

TEST(PlanCache, GivesBackWhatWasKeptUnderTheKey) {
  const TemporaryFolder folder;
  const PlanCache cache(folder.path() / "made" / "when needed");
  EXPECT_FALSE(cache.find("key"));
  cache.keep("key", kPlan);
  cache.keep("another key", {7});
  EXPECT_EQ(cache.find("key"), kPlan);
  EXPECT_EQ(cache.find("another key"), Plan{7});
  EXPECT_FALSE(cache.find("ke"));
  EXPECT_EQ(PlanCache(folder.path() / "made" / "when needed").find("key"), kPlan);
}

TEST(PlanCache, TheFirstOneThatIsKeptStays) {
  const TemporaryFolder folder;
  EXPECT_TRUE(PlanCache(folder.path()).keep("key", kPlan));
  EXPECT_TRUE(PlanCache(folder.path()).keep("key", {2}));
  EXPECT_EQ(PlanCache(folder.path()).find("key"), kPlan);
  EXPECT_EQ(folder.names().size(), 1U);
  PlanCache(folder.path()).discard("another key", kPlan);
  PlanCache(folder.path()).discard("key", {2});
  EXPECT_EQ(PlanCache(folder.path()).find("key"), kPlan);
  PlanCache(folder.path()).discard("key", kPlan);
  EXPECT_FALSE(PlanCache(folder.path()).find("key"));
  EXPECT_TRUE(PlanCache(folder.path()).keep("key", {2}));
  EXPECT_EQ(PlanCache(folder.path()).find("key"), Plan{2});
}

TEST(PlanCache, LooksAtWhatWasMadeAhead) {
  const TemporaryFolder folder;
  const std::filesystem::path ahead = folder.path() / "ahead";
  const std::filesystem::path own = folder.path() / "own";
  PlanCache(ahead, {}).keep("key", kPlan);
  PlanCache(ahead, {}).keep("another key", {7});
  const PlanCache cache(own, ahead);
  EXPECT_EQ(cache.find("key"), kPlan);
  cache.keep("another key", {2});  // the nearer one counts, and only there is written
  EXPECT_EQ(cache.find("another key"), Plan{2});
  EXPECT_EQ(PlanCache(ahead, {}).find("another key"), Plan{7});
  EXPECT_EQ(PlanCache({}, ahead).find("key"), kPlan);

  setenv("EBM_CUDNN_PLANS", ahead.c_str(), 1);
  EXPECT_EQ(PlanCache().find("key"), kPlan);
  EXPECT_EQ(PlanCache(own).find("key"), kPlan);
  unsetenv("EBM_CUDNN_PLANS");
  EXPECT_FALSE(PlanCache(own).find("key"));
}

TEST(PlanCache, RemembersUntilItForgets) {
  PlanCache cache;
  cache.remember("key", kPlan);
  EXPECT_EQ(cache.find("key"), kPlan);
  EXPECT_FALSE(cache.find("another key"));
  cache.forget();
  EXPECT_FALSE(cache.find("key"));
}

TEST(PlanCache, WithoutAFolderKeepsNothing) {
  const PlanCache cache;
  EXPECT_FALSE(cache.keep("key", kPlan));
  EXPECT_FALSE(cache.find("key"));
}

TEST(PlanCache, ADamagedFileIsAsGoodAsNone) {
  const TemporaryFolder folder;
  const PlanCache cache(folder.path());
  cache.keep("key", kPlan);
  const std::filesystem::path file = only_file(folder.path());
  const auto size = std::filesystem::file_size(file);
  for (std::uintmax_t place = 0; place < size; ++place) {
    cache.keep("key", kPlan);
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(place));
    const int byte = bytes.get();
    bytes.seekp(static_cast<std::streamoff>(place));
    bytes.put(static_cast<char>(byte ^ 1));
    bytes.close();
    EXPECT_FALSE(cache.find("key")) << "byte " << place;
  }
  for (std::uintmax_t shorter = 0; shorter < size; ++shorter) {
    cache.keep("key", kPlan);
    std::filesystem::resize_file(file, shorter);
    EXPECT_FALSE(cache.find("key")) << shorter << " bytes";
  }
  cache.keep("key", kPlan);
  EXPECT_EQ(cache.find("key"), kPlan);
}

TEST(PlanCache, WhatCannotBeKeptIsNotAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "a file").put('x');
  const PlanCache below_a_file(folder.path() / "a file");
  EXPECT_FALSE(below_a_file.keep("key", kPlan));
  EXPECT_FALSE(below_a_file.find("key"));

  const PlanCache cache(folder.path() / "cache");
  cache.keep("key", kPlan);
  const std::filesystem::path file = only_file(folder.path() / "cache");
  std::filesystem::remove(file);
  std::filesystem::create_directories(file / "in the way");
  cache.keep("key", kPlan);
  EXPECT_FALSE(cache.find("key"));
  EXPECT_EQ(only_file(folder.path() / "cache"), file);
}

}  // namespace
}  // namespace ebm
