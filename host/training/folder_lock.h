// One process at a time writes a run's folder.
#pragma once

#include <filesystem>

#include "cuda/base/posix_file.h"

namespace ebm {

/// Held from construction to the end of its life, or of the process however it ends. Children do
/// not inherit it.
class FolderLock {
 public:
  /// Locks `file`, made where it is missing. Throws ConfigurationError naming the process that
  /// holds it; OutputError when the file cannot be made.
  explicit FolderLock(const std::filesystem::path& file);

  /// False on a file system that has no locks: nothing is kept out then.
  bool is_held() const { return held_; }

 private:
  FileDescriptor file_;
  bool held_ = false;
};

}  // namespace ebm
