// A text file that grows by whole lines: the record of a run, readable while the run goes on.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string_view>

#include "cuda/base/posix_file.h"

namespace ebm {

/// Appends lines to a text file whose first line is a header. Nothing is buffered here: when
/// append() returns, any reader sees the lines and the end of this process cannot lose them.
class AppendFile {
 public:
  /// Opens `path` for appending, creating it in an existing folder. An empty file gets `header`
  /// (without its newline) as first line, as does one with nothing but the beginning of it; one
  /// that has lines must begin with that same line, or with that of an older version, if there is
  /// one. Throws OutputError naming the path, the reason and a remedy.
  AppendFile(std::filesystem::path path, std::string_view header, std::string_view older = {});

  /// Whether its first line is the older version's.
  bool is_older() const { return is_older_; }

  /// Adds `lines`, each ended by '\n'. Throws OutputError when not all could be written; the file
  /// is then cut back to what it held before, so that it never ends in part of a line.
  void append(std::string_view lines);

  /// Keeps the lines below the header up to the first that is not wanted, and cuts the file there;
  /// a last line that was never finished goes too. Returns how many are kept. Throws OutputError.
  std::size_t keep_while(const std::function<bool(std::string_view line)>& wanted);

  /// Makes all that was appended outlive a power cut. Throws OutputError.
  void sync();

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::size_t header_size_ = 0;
  bool is_older_ = false;
};

}  // namespace ebm
