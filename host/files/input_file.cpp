#include "host/files/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cuda/base/errors.h"

namespace ebm {

InputFile::InputFile(std::filesystem::path path)
    : path_(std::move(path)),
      // Without O_NONBLOCK, opening a named pipe would wait for a writer.
      file_(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
  struct stat status {};
  if (!file_.valid() || ::fstat(file_.get(), &status) != 0) {
    fail(fmt::format("cannot be opened: {}", std::generic_category().message(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    fail(S_ISDIR(status.st_mode) ? "is a folder, not a file" : "is not a regular file");
  }
  remaining_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::read(std::span<std::byte> bytes) {
  require(bytes.size(), 1);
  while (!bytes.empty()) {
    const ssize_t count = ::read(file_.get(), bytes.data(), bytes.size());
    if (count > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      remaining_ -= static_cast<std::uint64_t>(count);
    } else if (count == 0) {
      fail("became shorter while it was read");
    } else if (errno != EINTR) {
      fail(fmt::format("cannot be read: {}", std::generic_category().message(errno)));
    }
  }
}

void InputFile::fail(std::string_view problem) const {
  throw InputFileError(fmt::format("{}: {}", path_.string(), problem));
}

void InputFile::require(std::uint64_t count, std::uint64_t size) const {
  if (count > remaining_ / size) {
    fail(fmt::format("is cut short: {} values of {} bytes expected where {} bytes remain", count,
                     size, remaining_));
  }
}

}  // namespace ebm
