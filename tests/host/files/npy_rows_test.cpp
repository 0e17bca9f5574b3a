#include "host/files/npy_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "cuda/base/errors.h"
#include "host/files/npy.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using Shape = std::vector<std::int64_t>;

TEST(NpyRows, IsAWholeArrayAfterEveryAppend) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "x.npy";
  NpyRows rows(path, {2, 3});
  EXPECT_EQ(read_npy(path).shape, (Shape{0, 2, 3}));
  std::vector<float> all;
  for (int append = 1; append <= 12; ++append) {  // the number of rows gains a digit
    std::vector<float> more(6);
    for (float& value : more) {
      value = static_cast<float>(all.size()) + 0.5F;
      all.push_back(value);
    }
    rows.append(more);
    const NpyArray array = read_npy(path);
    EXPECT_EQ(array.shape, (Shape{append, 2, 3}));
    EXPECT_EQ(array.values, all);
  }
  EXPECT_EQ(rows.rows(), 12);
}

TEST(NpyRows, ARowMayBeOneValue) {
  const TemporaryFolder folder;
  NpyRows rows(folder / "x.npy", {});
  rows.append(std::vector<float>{1, 2, 3});
  rows.append({});
  EXPECT_EQ(read_npy(folder / "x.npy").shape, (Shape{3}));
}

TEST(NpyRows, GoesOnAfterTheRowsThatAreKept) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "x.npy";
  std::vector<float> all(36);
  std::iota(all.begin(), all.end(), 0.5F);
  NpyRows(path, {3}).append(all);
  write_bytes(path, read_bytes(path) + "rows that no header counts");
  {
    NpyRows rows(path, {3}, 10);
    EXPECT_EQ(rows.rows(), 10);
    EXPECT_EQ(read_npy(path).shape, (Shape{10, 3}));
    std::vector<float> back(6);
    rows.read(7, back);
    EXPECT_EQ(back, (std::vector<float>{21.5F, 22.5F, 23.5F, 24.5F, 25.5F, 26.5F}));
    rows.append(std::vector<float>{1, 2, 3});
    rows.sync();
    EXPECT_EQ(read_npy(path).shape, (Shape{11, 3}));
    std::copy_n(std::vector<float>{1, 2, 3}.begin(), 3, all.begin() + 30);
    all.resize(33);
    EXPECT_EQ(read_npy(path).values, all);
  }
  const auto refused = [&](const Shape& row_shape, std::int64_t kept) {
    return message_of<InputFileError>([&] { NpyRows(path, row_shape, kept); });
  };
  const std::string bytes = read_bytes(path);
  EXPECT_TRUE(mentions(refused({3}, 12), {"x.npy", "has 11 rows", "needs 12"}));
  EXPECT_TRUE(mentions(refused({4}, 5), {"x.npy", "is not an array"}));
  EXPECT_TRUE(mentions(refused({3, 1}, 5), {"x.npy", "is not an array"}));
  EXPECT_EQ(read_bytes(path), bytes);
  write_bytes(path, bytes.substr(0, bytes.size() - 1));
  EXPECT_TRUE(mentions(refused({3}, 11), {"x.npy", "bytes", "needs 11"}));
  write_bytes(path, "");
  EXPECT_TRUE(mentions(refused({3}, 1), {"x.npy", "is not an array"}));
  EXPECT_EQ(NpyRows(path, {3}, 0).rows(), 0);
}

TEST(NpyRows, AFailureLeavesTheRowsBeforeIt) {
  const TemporaryFolder folder;
  NpyRows rows(folder / "x.npy", {100});
  rows.append(std::vector<float>(300, 2.0F));
  {
    const FileSizeLimit limit(2000);
    const std::string message =
        message_of<OutputError>([&] { rows.append(std::vector<float>(300, 3.0F)); });
    EXPECT_TRUE(mentions(message, {"x.npy"}));
  }
  EXPECT_EQ(read_npy(folder / "x.npy").values, std::vector<float>(300, 2.0F));
  rows.append(std::vector<float>(100, 4.0F));
  EXPECT_EQ(read_npy(folder / "x.npy").shape, (Shape{4, 100}));
  EXPECT_TRUE(
      mentions(message_of<OutputError>([&] { NpyRows(folder / "no/x.npy", {1}); }), {"no/x.npy"}));
}

}  // namespace
}  // namespace ebm
