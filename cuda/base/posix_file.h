// The few POSIX pieces that reading and writing whole files share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace ebm {

/// Owns an open file descriptor; closes it at the end of its life. Moves, does not copy.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  /// Takes ownership of `descriptor`; negative means none.
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }

  bool valid() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  /// Gives up ownership.
  int release();
  /// Closes now. Returns 0, or the errno of a failure (a late write error on a network file
  /// system).
  int close();

 private:
  int descriptor_ = -1;
};

/// Writes every byte, however many calls that takes. Returns 0, or the errno of the failure.
int write_all(const FileDescriptor& file, std::span<const std::byte> bytes);

/// Adds `bytes` to a file open for appending; `path` is its name, for messages. Throws OutputError
/// when not all could be written; the file is then cut back to what it held before.
void append_whole(const FileDescriptor& file, const std::filesystem::path& path,
                  std::span<const std::byte> bytes);

/// Bytes in an open file. Throws OutputError.
std::uint64_t size_of(const FileDescriptor& file, const std::filesystem::path& path);

/// Makes a folder, and those above it, where they are missing. Throws OutputError.
void make_folder(const std::filesystem::path& folder);

/// Throws OutputError "cannot ACTION PATH: REASON; REMEDY" for an errno value.
[[noreturn]] void throw_output_error(std::string_view action, const std::filesystem::path& path,
                                     int error_number);

}  // namespace ebm
