#include "cuda/base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <string>

#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"

namespace ebm {
namespace {

/// Renaming onto /dev/null would replace the device itself.
void refuse_special_file(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at cannot be created either, and says why then
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw OutputError("cannot write " + path.string() + ": it is " +
                      (std::filesystem::is_directory(status) ? "a folder" : "not a regular file") +
                      "; choose another name");
  }
}

/// Where the bytes go first. A number tells several writers' apart, on several machines too.
std::filesystem::path temporary_path(const std::filesystem::path& path, Existing existing) {
  return existing == Existing::replaced
             ? path.string() + ".tmp"
             : fmt::format("{}.{:08x}.tmp", path.string(), std::random_device{}());
}

/// Removes the file at the end of its life, unless it has taken another's name.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!renamed_) {
      ::unlink(path_.c_str());
    }
  }

  /// Throws OutputError.
  void take_name(const std::filesystem::path& name, Existing existing) {
    // A link, unlike a renaming, leaves another's file as it is. Some file systems have none.
    if (existing == Existing::kept &&
        (::link(path_.c_str(), name.c_str()) == 0 || errno == EEXIST)) {
      return;
    }
    if (std::rename(path_.c_str(), name.c_str()) != 0) {
      throw_output_error("replace", name, errno);
    }
    renamed_ = true;
  }

 private:
  std::filesystem::path path_;
  bool renamed_ = false;
};

/// Makes the renaming itself durable. File systems that cannot flush a folder say EINVAL.
void flush_folder(const FileDescriptor& descriptor, const std::filesystem::path& folder) {
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
    throw_output_error("flush", folder, errno);
  }
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces, Existing existing) {
  refuse_special_file(path);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const FileDescriptor folder_descriptor(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_descriptor.valid()) {
    throw_output_error("open the folder of", path, errno);
  }
  const std::filesystem::path unfinished = temporary_path(path, existing);
  FileDescriptor file(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.valid()) {
    throw_output_error("create", unfinished, errno);
  }
  TemporaryFile temporary(unfinished);
  for (const std::span<const std::byte> piece : pieces) {
    if (const int error = write_all(file, piece); error != 0) {
      throw_output_error("write", path, error);
    }
  }
  if (::fsync(file.get()) != 0) {
    throw_output_error("flush", path, errno);
  }
  if (const int error = file.close(); error != 0) {
    throw_output_error("close", path, error);
  }
  temporary.take_name(path, existing);
  flush_folder(folder_descriptor, folder);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text,
                           Existing existing) {
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  write_file_atomically(path, std::span(&piece, 1), existing);
}

}  // namespace ebm
