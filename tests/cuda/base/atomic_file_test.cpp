#include "cuda/base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "cuda/base/errors.h"
#include "host/files/append_file.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

using Names = std::vector<std::string>;

TEST(AtomicFile, HoldsThePiecesInOrder) {
  const TemporaryFolder folder;
  const std::string first = "one, ";
  const std::string second("two\0three", 9);
  const std::array pieces = {std::as_bytes(std::span(first)), std::as_bytes(std::span(second))};
  write_file_atomically(folder / "file", pieces);
  EXPECT_EQ(read_bytes(folder / "file"), first + second);
  EXPECT_EQ(folder.names(), Names{"file"});
}

TEST(AtomicFile, MayBeEmpty) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  EXPECT_EQ(read_bytes(folder / "file"), "");
}

TEST(AtomicFile, ReplacesALongerFileAndALeftOverTemporary) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "something longer than the new text");
  write_bytes(folder / "file.tmp", "left by a killed process, and longer too");
  write_file_atomically(folder / "file", "new");
  EXPECT_EQ(read_bytes(folder / "file"), "new");
  EXPECT_EQ(folder.names(), Names{"file"});
}

TEST(AtomicFile, KeepsWhatIsThereWhereItIsAskedTo) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "first", Existing::kept);
  write_file_atomically(folder / "file", "second", Existing::kept);
  EXPECT_EQ(read_bytes(folder / "file"), "first");
  EXPECT_EQ(folder.names(), Names{"file"});
}

TEST(AtomicFile, IsWholeWhenSeveralWriteAtOnce) {
  const TemporaryFolder folder;
  const auto text_of = [](int writer) {
    return std::string(100'000 + static_cast<std::size_t>(writer), static_cast<char>('a' + writer));
  };
  for (int round = 0; round < 20; ++round) {
    const std::filesystem::path path = folder / "file";
    {
      std::vector<std::jthread> writers;
      for (int writer = 0; writer < 4; ++writer) {
        writers.emplace_back(
            [&, writer] { write_file_atomically(path, text_of(writer), Existing::kept); });
      }
    }
    const std::string written = read_bytes(path);
    ASSERT_FALSE(written.empty());
    EXPECT_EQ(written, text_of(written.front() - 'a'));
    EXPECT_EQ(folder.names(), Names{"file"});
    std::filesystem::remove(path);
  }
}

TEST(AtomicFile, GetsThePermissionsOfAnOrdinaryFile) {
  const TemporaryFolder folder;
  const mode_t mask = ::umask(022);
  write_file_atomically(folder / "file", "text");
  ::umask(mask);
  struct stat status {};
  ASSERT_EQ(::stat((folder / "file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U);
}

TEST(AtomicFile, IsWrittenBesideARelativePath) {
  const TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file_atomically("file", "text");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_bytes(folder / "file"), "text");
}

TEST(AtomicFile, LeavesTheOldFileAndNoTemporaryWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "old");
  std::string message;
  {
    const FileSizeLimit limit(4096);
    message = message_of<OutputError>(
        [&] { write_file_atomically(folder / "file", std::string(10'000, 'x')); });
  }
  EXPECT_TRUE(mentions(message, {(folder / "file").string(), "File too large", "ulimit"}));
  EXPECT_EQ(read_bytes(folder / "file"), "old");
  EXPECT_EQ(folder.names(), Names{"file"});
}

TEST(AtomicFile, NamesAMissingFolder) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "no/such/file";
  EXPECT_TRUE(mentions(message_of<OutputError>([&] { write_file_atomically(path, "text"); }),
                       {path.string(), "No such file or directory", "create its folder"}));
}

TEST(AtomicFile, RefusesToReplaceAFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "taken");
  EXPECT_TRUE(
      mentions(message_of<OutputError>([&] { write_file_atomically(folder / "taken", "text"); }),
               {(folder / "taken").string(), "is a folder"}));
  EXPECT_EQ(folder.names(), Names{"taken"});
}

TEST(AtomicFile, RefusesToReplaceADevice) {
  EXPECT_TRUE(mentions(message_of<OutputError>([] { write_file_atomically("/dev/null", "text"); }),
                       {"/dev/null", "not a regular file"}));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(AtomicFile, NamesAReadOnlyFolder) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root may write to any folder";
  }
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  const std::string message =
      message_of<OutputError>([&] { write_file_atomically(folder / "file", "text"); });
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_TRUE(mentions(message, {(folder / "file").string(), "Permission denied", "may write to"}));
}

TEST(AppendFile, WritesItsHeaderOnceAndLinesAtOnce) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "diagnostics.csv";
  {
    AppendFile file(path, "iteration,d_s");
    EXPECT_EQ(read_bytes(path), "iteration,d_s\n");
    file.append("1,0.5\n2,0.25\n");
    EXPECT_EQ(read_bytes(path), "iteration,d_s\n1,0.5\n2,0.25\n");
  }
  AppendFile(path, "iteration,d_s").append("3,0\n");
  EXPECT_EQ(read_bytes(path), "iteration,d_s\n1,0.5\n2,0.25\n3,0\n");
}

TEST(AppendFile, RefusesAFileWithAnotherHeader) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "diagnostics.csv";
  for (const std::string content : {"step,energy\n1,2\n", "item", "iteration,d_s,r_s\n"}) {
    write_bytes(path, content);
    EXPECT_TRUE(mentions(message_of<OutputError>([&] { AppendFile(path, "iteration,d_s"); }),
                         {path.string(), "iteration,d_s", "move the file away"}));
    EXPECT_EQ(read_bytes(path), content);
  }
}

TEST(AppendFile, WritesAHeaderThatWasCutAgain) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "diagnostics.csv";
  write_bytes(path, "iter");
  const AppendFile file(path, "iteration,d_s");
  EXPECT_EQ(read_bytes(path), "iteration,d_s\n");
}

TEST(AppendFile, KeepsTheLinesThatAreWanted) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "diagnostics.csv";
  write_bytes(path, "a,b\n1,2\n3,4\n5,6\n7,");
  AppendFile file(path, "a,b");
  const auto is_below = [](char limit) {
    return [limit](std::string_view line) { return line[0] < limit; };
  };
  EXPECT_EQ(file.keep_while(is_below('9')), 3U);
  EXPECT_EQ(read_bytes(path), "a,b\n1,2\n3,4\n5,6\n");
  EXPECT_EQ(file.keep_while(is_below('3')), 1U);
  EXPECT_EQ(read_bytes(path), "a,b\n1,2\n");
  file.append("8,8\n");
  EXPECT_EQ(file.keep_while(is_below('0')), 0U);
  EXPECT_EQ(read_bytes(path), "a,b\n");
}

TEST(AppendFile, ReportsAFullDeviceOnOpening) {
  if (!std::filesystem::exists("/dev/full")) {
    GTEST_SKIP() << "no /dev/full here";
  }
  EXPECT_TRUE(mentions(message_of<OutputError>([] { AppendFile("/dev/full", "header"); }),
                       {"/dev/full", "No space left on device", "free some space"}));
}

TEST(AppendFile, NeverEndsInPartOfALineWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "diagnostics.csv";
  AppendFile file(path, "header");
  std::string message;
  {
    const FileSizeLimit limit(100);
    message = message_of<OutputError>([&] { file.append(std::string(200, '1') + '\n'); });
  }
  EXPECT_TRUE(mentions(message, {path.string(), "File too large"}));
  EXPECT_EQ(read_bytes(path), "header\n");
  file.append("after\n");
  EXPECT_EQ(read_bytes(path), "header\nafter\n");
}

TEST(AppendFile, NamesAMissingFolder) {
  const TemporaryFolder folder;
  EXPECT_TRUE(mentions(message_of<OutputError>([&] { AppendFile(folder / "no/file", "header"); }),
                       {(folder / "no/file").string(), "No such file", "create its folder"}));
}

}  // namespace
}  // namespace ebm
