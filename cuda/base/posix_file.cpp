#include "cuda/base/posix_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

std::string_view remedy(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space there, or choose another output folder";
    case EFBIG:
      return "raise the file size limit (ulimit -f), or choose another file system";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose an output folder that you may write to";
    case ENOENT:
    case ENOTDIR:
      return "create its folder first, or choose another";
    default:
      return "check the file system, or choose another output folder";
  }
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = other.release();
  }
  return *this;
}

int FileDescriptor::release() { return std::exchange(descriptor_, -1); }

int FileDescriptor::close() {
  if (!valid()) {
    return 0;
  }
  // Linux frees the descriptor even when close() is interrupted; closing it again would be wrong.
  return ::close(release()) == 0 || errno == EINTR ? 0 : errno;
}

int write_all(const FileDescriptor& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void append_whole(const FileDescriptor& file, const std::filesystem::path& path,
                  std::span<const std::byte> bytes) {
  const std::uint64_t size_before = size_of(file, path);
  if (const int error = write_all(file, bytes); error != 0) {
    // The write's failure is the one to report, whether or not this succeeds.
    [[maybe_unused]] const int ignored = ::ftruncate(file.get(), static_cast<off_t>(size_before));
    throw_output_error("append to", path, error);
  }
}

std::uint64_t size_of(const FileDescriptor& file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw_output_error("look at", path, errno);
  }
  return static_cast<std::uint64_t>(status.st_size);
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw_output_error("make the folder", folder, error.value());
  }
}

void throw_output_error(std::string_view action, const std::filesystem::path& path,
                        int error_number) {
  throw OutputError(fmt::format("cannot {} {}: {}; {}", action, path.string(),
                                std::generic_category().message(error_number),
                                remedy(error_number)));
}

}  // namespace ebm
