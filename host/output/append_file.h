// A text file that grows by whole lines: the record of a run, readable while the run goes on.
#pragma once

#include <filesystem>
#include <string_view>

#include "host/output/posix_file.h"

namespace ebm {

/// Appends lines to a text file whose first line is a header. Nothing is buffered here: when
/// append() returns, any reader sees the lines and the end of this process cannot lose them.
class AppendFile {
 public:
  /// Opens `path` for appending, creating it in an existing folder. An empty file gets `header`
  /// (without its newline) as first line; one that has lines must begin with that same line.
  /// Throws OutputError naming the path, the reason and a remedy.
  AppendFile(std::filesystem::path path, std::string_view header);

  /// Adds `lines`, each ended by '\n'. Throws OutputError when not all could be written; the file
  /// is then cut back to what it held before, so that it never ends in part of a line.
  void append(std::string_view lines);

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace ebm
