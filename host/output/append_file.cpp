#include "host/output/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string>
#include <utility>

#include "host/errors.h"

namespace ebm {
namespace {

off_t size_of(const FileDescriptor& file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw_output_error("look at", path, errno);
  }
  return status.st_size;
}

void require_first_line(const FileDescriptor& file, const std::filesystem::path& path,
                        const std::string& line) {
  std::string found(line.size(), '\0');
  const ssize_t count = ::pread(file.get(), found.data(), found.size(), 0);
  if (count < 0) {
    throw_output_error("read", path, errno);
  }
  if (found != line) {
    throw OutputError("cannot append to " + path.string() +
                      ": its first line is not the header \"" + line.substr(0, line.size() - 1) +
                      "\"; move the file away");
  }
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path, std::string_view header)
    : path_(std::move(path)),
      file_(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) {
  if (!file_.valid()) {
    throw_output_error("open", path_, errno);
  }
  const std::string line = std::string(header) + '\n';
  if (size_of(file_, path_) == 0) {
    append(line);
  } else {
    require_first_line(file_, path_, line);
  }
}

void AppendFile::append(std::string_view lines) {
  const off_t size_before = size_of(file_, path_);
  if (const int error = write_all(file_, std::as_bytes(std::span(lines))); error != 0) {
    // The write's failure is the one to report, whether or not this succeeds.
    [[maybe_unused]] const int ignored = ::ftruncate(file_.get(), size_before);
    throw_output_error("append to", path_, error);
  }
}

}  // namespace ebm
