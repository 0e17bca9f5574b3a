#include "host/data/idx.h"

#include <gtest/gtest.h>

#include <string>

#include "cuda/base/errors.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

IdxImages read(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "images-idx3-ubyte", bytes);
  return read_idx_images(folder / "images-idx3-ubyte");
}

/// The message with which those bytes are refused; it must name the file.
std::string refusal(const std::string& bytes) {
  std::string message = message_of<InputFileError>([&] { read(bytes); });
  EXPECT_TRUE(mentions(message, {"images-idx3-ubyte: "}));
  return message;
}

TEST(Idx, ReadsPlainAndCompressedFilesAlike) {
  const TemporaryFolder folder;
  const std::string pixels = arbitrary_bytes(60);
  const std::string bytes = idx_bytes({3, 4, 5}, pixels);
  write_bytes(folder / "plain", bytes);
  write_gzip(folder / "compressed", bytes);
  for (const char* name : {"plain", "compressed"}) {
    const IdxImages images = read_idx_images(folder / name);
    EXPECT_EQ(images.count, 3);
    EXPECT_EQ(images.height, 4);
    EXPECT_EQ(images.width, 5);
    EXPECT_EQ(std::string(images.pixels.begin(), images.pixels.end()), pixels);
  }
}

TEST(Idx, ReadsMoreThanOneChunk) {
  const std::string pixels = arbitrary_bytes(3'000'000);
  const IdxImages images = read(idx_bytes({50, 200, 300}, pixels));
  EXPECT_EQ(std::string(images.pixels.begin(), images.pixels.end()), pixels);
}

TEST(Idx, RefusesOtherMagicNumbers) {
  EXPECT_TRUE(mentions(refusal(idx_bytes({1, 1, 1}, "x", 0x00000801)),
                       {"0x00000801", "0x00000803", "labels"}));
  EXPECT_TRUE(mentions(refusal(idx_bytes({1, 1, 1}, "x", 0x00000D03)), {"0x00000d03"}));
  EXPECT_TRUE(mentions(refusal("<!DOCTYPE html>"), {"0x3c21444f", "0x00000803"}));
}

TEST(Idx, RefusesSizesOfZeroAndBeyondReason) {
  EXPECT_TRUE(mentions(refusal(idx_bytes({0, 28, 28}, "")), {"0 × 28 × 28", "2147483648"}));
  EXPECT_TRUE(mentions(refusal(idx_bytes({1, 28, 0}, "")), {"1 × 28 × 0"}));
  const std::uint32_t most = 0xFFFFFFFF;
  EXPECT_TRUE(mentions(refusal(idx_bytes({most, 1, 1}, "x")), {"4294967295 × 1 × 1"}));
  EXPECT_TRUE(mentions(refusal(idx_bytes({most, most, most}, "x")), {"4294967295"}));
  EXPECT_TRUE(mentions(refusal(idx_bytes({0x80000000, 1, 1}, "x")), {"2147483648 × 1 × 1"}));
}

TEST(Idx, TrustsThePixelsAndNotTheHeader) {
  EXPECT_TRUE(mentions(refusal(idx_bytes({60000, 28, 28}, arbitrary_bytes(1000))),
                       {"1000 of the 47040000 pixels", "fetch it again"}));
  EXPECT_TRUE(mentions(refusal(idx_bytes({2, 2, 2}, "12345678 ")), {"more than the 8 pixels"}));
}

TEST(Idx, RefusesEveryTruncation) {
  const TemporaryFolder folder;
  const std::string whole = idx_bytes({2, 3, 3}, arbitrary_bytes(18));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(mentions(refusal(whole.substr(0, size)), {size < 16 ? "too short" : "cut short"}));
  }
  write_gzip(folder / "gz", idx_bytes({40, 30, 30}, arbitrary_bytes(36'000)));
  const std::string compressed = read_bytes(folder / "gz");
  for (std::size_t size = 0; size < compressed.size();
       size = size + 16 < compressed.size() ? size + 7 : size + 1) {
    refusal(compressed.substr(0, size));
  }
}

TEST(Idx, RefusesDamagedCompression) {
  const TemporaryFolder folder;
  write_gzip(folder / "gz", idx_bytes({40, 30, 30}, arbitrary_bytes(36'000)));
  const std::string compressed = read_bytes(folder / "gz");
  // In the data, in the check sum and in the length that ends the file.
  for (const std::size_t place :
       {compressed.size() / 2, compressed.size() - 8, compressed.size() - 1}) {
    std::string damaged = compressed;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x55);
    EXPECT_TRUE(mentions(refusal(damaged), {"damaged", "fetch it again"})) << place;
  }
}

TEST(Idx, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_idx_images(folder.path()); }),
                       {folder.path().string(), "is a folder"}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { read_idx_images(folder / "missing"); }),
                       {(folder / "missing").string(), "No such file"}));
}

}  // namespace
}  // namespace ebm
