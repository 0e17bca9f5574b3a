#include "host/training/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <string>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

constexpr std::size_t kLongestName = 256;

std::string this_process() {
  std::array<char, kLongestName> host{};
  const bool named = ::gethostname(host.data(), host.size() - 1) == 0;
  return fmt::format("process {} on {}\n", ::getpid(), named ? host.data() : "an unknown host");
}

std::string holder(const FileDescriptor& file) {
  std::array<char, kLongestName> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  const std::string words(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return words.empty() ? "another process" : words.substr(0, words.find('\n'));
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& file)
    : file_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (!file_.valid()) {
    throw_output_error("create", file, errno);
  }
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      throw ConfigurationError(fmt::format(
          "{} is being written by {}; wait for it, or choose another folder with --out DIR",
          file.parent_path().string(), holder(file_)));
    }
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK) {
      return;
    }
    throw_output_error("lock", file, errno);
  }
  held_ = true;
  const std::string words = this_process();
  int error = ::ftruncate(file_.get(), 0) == 0 ? 0 : errno;
  if (error == 0) {
    error = write_all(file_, std::as_bytes(std::span(words)));
  }
  if (error != 0) {
    throw_output_error("write", file, error);
  }
}

}  // namespace ebm
