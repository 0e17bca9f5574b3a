#include "host/files/npy_rows.h"

#include <gtest/gtest.h>

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
