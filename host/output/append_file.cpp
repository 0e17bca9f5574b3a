#include "host/output/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string>
#include <utility>

#include "host/errors.h"

namespace ebm {
namespace {

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
  append_whole(file_, path_, std::as_bytes(std::span(lines)));
}

}  // namespace ebm
