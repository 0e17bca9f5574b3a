// Reading binary files that may be damaged or hostile: nothing is believed before it is checked
// against the size of the file.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/base/posix_file.h"

namespace ebm {

static_assert(std::endian::native == std::endian::little,
              "array files are little-endian and read without swapping");

/// A regular file, read from its beginning to its end.
class InputFile {
 public:
  /// Throws InputFileError when `path` is missing, unreadable or not a regular file.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  /// Bytes not read yet, going by the file's size when it was opened.
  std::uint64_t remaining() const { return remaining_; }

  /// Fills `bytes` with the next bytes of the file. Throws InputFileError when it holds fewer.
  void read(std::span<std::byte> bytes);

  /// The next `count` stored values, as floats. Throws InputFileError, having allocated nothing,
  /// when the file holds fewer.
  template <typename Stored>
  std::vector<float> read_floats(std::uint64_t count) {
    require(count, sizeof(Stored));
    std::vector<Stored> stored(count);
    read(std::as_writable_bytes(std::span(stored)));
    if constexpr (std::is_same_v<Stored, float>) {
      return stored;
    } else {
      std::vector<float> values(count);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(stored[i]);
      }
      return values;
    }
  }

  /// Throws InputFileError "PATH: PROBLEM".
  [[noreturn]] void fail(std::string_view problem) const;

  /// Gives up the open file to a reader of its own, such as zlib's.
  FileDescriptor release() && { return std::move(file_); }

 private:
  /// Throws unless `count` values of `size` bytes remain.
  void require(std::uint64_t count, std::uint64_t size) const;

  std::filesystem::path path_;
  FileDescriptor file_;
  std::uint64_t remaining_ = 0;
};

}  // namespace ebm
