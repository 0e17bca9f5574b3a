#include "host/files/npy_rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <limits>
#include <utility>

#include "host/files/npy.h"

namespace ebm {

NpyRows::NpyRows(std::filesystem::path path, std::vector<std::int64_t> row_shape)
    : path_(std::move(path)), shape_(std::move(row_shape)) {
  for (const std::int64_t size : shape_) {
    row_size_ *= size;
  }
  shape_.insert(shape_.begin(), 0);
  file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file_.valid()) {
    throw_output_error("open", path_, errno);
  }
  // Room for any number of rows.
  std::vector<std::int64_t> longest = shape_;
  longest.front() = std::numeric_limits<std::int64_t>::max();
  header_size_ = npy_header("<f4", longest).size();
  const std::string bytes = header();
  if (const int error = write_all(file_, std::as_bytes(std::span(bytes))); error != 0) {
    throw_output_error("write", path_, error);
  }
}

void NpyRows::append(std::span<const float> rows) {
  assert(std::ssize(rows) % row_size_ == 0);
  const off_t end = ::lseek(file_.get(), 0, SEEK_END);
  int error = end < 0 ? errno : write_all(file_, std::as_bytes(rows));
  if (error != 0) {
    // The write's failure is the one to report, whether or not this succeeds.
    [[maybe_unused]] const int ignored = ::ftruncate(file_.get(), end);
    throw_output_error("append to", path_, error);
  }
  rows_ += std::ssize(rows) / row_size_;
  shape_.front() = rows_;
  const std::string bytes = header();
  const ssize_t written = ::pwrite(file_.get(), bytes.data(), bytes.size(), 0);
  if (written != static_cast<ssize_t>(bytes.size())) {
    throw_output_error("append to", path_, written < 0 ? errno : EIO);
  }
}

std::string NpyRows::header() const { return npy_header("<f4", shape_, header_size_); }

}  // namespace ebm
