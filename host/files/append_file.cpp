#include "host/files/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

/// The file's first bytes, at most so many.
std::string read_start(const FileDescriptor& file, const std::filesystem::path& path,
                       std::uint64_t most) {
  std::string text(std::min(most, size_of(file, path)), '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count =
        ::pread(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno != EINTR) {
      throw_output_error("read", path, errno);
    }
    if (count == 0) {
      text.resize(done);
    }
    done += static_cast<std::size_t>(std::max(count, ssize_t{0}));
  }
  return text;
}

void cut_at(const FileDescriptor& file, const std::filesystem::path& path, std::uint64_t size) {
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    throw_output_error("cut", path, errno);
  }
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path, std::string_view header, std::string_view older)
    : path_(std::move(path)),
      file_(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) {
  if (!file_.valid()) {
    throw_output_error("open", path_, errno);
  }
  const std::string line = std::string(header) + '\n';
  const std::string older_line = std::string(older) + '\n';
  header_size_ = line.size();
  const std::string found = read_start(file_, path_, header_size_);
  is_older_ = !older.empty() && found.starts_with(older_line);
  if (is_older_) {
    header_size_ = older_line.size();
  } else if (found.size() < line.size() && line.starts_with(found)) {
    if (!found.empty()) {
      cut_at(file_, path_, 0);
    }
    append(line);
  } else if (found != line) {
    throw OutputError("cannot append to " + path_.string() +
                      ": its first line is not the header \"" + std::string(header) +
                      "\"; move the file away");
  }
}

void AppendFile::append(std::string_view lines) {
  append_whole(file_, path_, std::as_bytes(std::span(lines)));
}

std::size_t AppendFile::keep_while(const std::function<bool(std::string_view line)>& wanted) {
  const std::string text = read_start(file_, path_, UINT64_MAX);
  std::size_t kept = 0;
  std::size_t begin = header_size_;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (!wanted(std::string_view(text).substr(begin, end - begin))) {
      break;
    }
    ++kept;
  }
  if (begin != text.size()) {
    cut_at(file_, path_, begin);
  }
  return kept;
}

void AppendFile::sync() {
  if (::fsync(file_.get()) != 0) {
    throw_output_error("write", path_, errno);
  }
}

}  // namespace ebm
