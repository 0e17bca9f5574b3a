#include "host/output/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "host/errors.h"
#include "host/output/posix_file.h"

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

/// Removes the file at the end of its life, unless kept.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!kept_) {
      ::unlink(path_.c_str());
    }
  }
  void keep() { kept_ = true; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

/// Makes the renaming itself durable. File systems that cannot flush a folder say EINVAL.
void flush_folder(const FileDescriptor& descriptor, const std::filesystem::path& folder) {
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
    throw_output_error("flush", folder, errno);
  }
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::span<const std::byte>> pieces) {
  refuse_special_file(path);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const FileDescriptor folder_descriptor(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_descriptor.valid()) {
    throw_output_error("open the folder of", path, errno);
  }
  const std::filesystem::path temporary_path = path.string() + ".tmp";
  FileDescriptor file(
      ::open(temporary_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.valid()) {
    throw_output_error("create", temporary_path, errno);
  }
  TemporaryFile temporary(temporary_path);
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
  if (std::rename(temporary_path.c_str(), path.c_str()) != 0) {
    throw_output_error("replace", path, errno);
  }
  temporary.keep();
  flush_folder(folder_descriptor, folder);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  const std::span<const std::byte> piece = std::as_bytes(std::span(text));
  write_file_atomically(path, std::span(&piece, 1));
}

}  // namespace ebm
