// What the targets of hostile input share. A target is one file that defines read_hostile() for the
// reader it is named for. libfuzzer.cpp calls it with inputs that libFuzzer makes up;
// replay_test.cpp, in the ordinary tests, with the seeds under corpus/ and damaged copies of them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "cuda/base/posix_file.h"

namespace ebm {

/// Gives the reader under test a file of these bytes. The reader may refuse it by a
/// ConfigurationError or an InputFileError; any other exception is a finding.
void read_hostile(std::span<const std::byte> bytes);

/// A file of these bytes, in memory, while it lives.
class HostileFile {
 public:
  explicit HostileFile(std::span<const std::byte> bytes);
  const std::filesystem::path& path() const { return path_; }

 private:
  FileDescriptor file_;
  std::filesystem::path path_;
};

}  // namespace ebm
