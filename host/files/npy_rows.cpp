#include "host/files/npy_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "host/files/npy.h"
#include "host/parse_number.h"

namespace ebm {

NpyRows::NpyRows(std::filesystem::path path, std::vector<std::int64_t> row_shape, std::int64_t kept)
    : path_(std::move(path)), shape_(std::move(row_shape)) {
  for (const std::int64_t size : shape_) {
    row_size_ *= size;
  }
  shape_.insert(shape_.begin(), 0);
  file_ = FileDescriptor(
      ::open(path_.c_str(), O_RDWR | O_CREAT | (kept > 0 ? 0 : O_TRUNC) | O_CLOEXEC, 0666));
  if (!file_.valid()) {
    throw_output_error("open", path_, errno);
  }
  // Room for any number of rows.
  std::vector<std::int64_t> longest = shape_;
  longest.front() = std::numeric_limits<std::int64_t>::max();
  header_size_ = npy_header("<f4", longest).size();
  if (kept > 0) {
    keep(kept);
  }
  write_header();
}

void NpyRows::keep(std::int64_t rows) {
  // The number of rows is the one part of the header that is not known.
  const auto refuse = [&](std::string_view why) {
    throw InputFileError(
        fmt::format("{}: {}, but the run's state needs {} rows of it; it has been "
                    "changed since",
                    path_.string(), why, rows));
  };
  constexpr std::string_view kBeforeRows = "'shape': (";
  const std::uint64_t size = size_of(file_, path_);
  std::string found(std::min<std::uint64_t>(header_size_, size), '\0');
  read_bytes(0, std::as_writable_bytes(std::span(found)));
  const std::size_t before = found.find(kBeforeRows);
  const std::size_t begin = before == std::string::npos ? 0 : before + kBeforeRows.size();
  const std::size_t end = std::max(found.find(',', begin), begin);
  const auto there = parse_number<std::int64_t>(std::string_view(found).substr(begin, end - begin));
  shape_.front() = there.value_or(0);
  if (!there || found != header()) {
    refuse("is not an array that this run has written");
  }
  if (*there < rows) {
    refuse(fmt::format("has {} rows", *there));
  }
  const std::uint64_t kept =
      header_size_ + static_cast<std::uint64_t>(rows * row_size_) * sizeof(float);
  if (size < kept) {
    refuse(fmt::format("has {} bytes", size));
  }
  if (::ftruncate(file_.get(), static_cast<off_t>(kept)) != 0) {
    throw_output_error("cut", path_, errno);
  }
  rows_ = shape_.front() = rows;
}

void NpyRows::read_bytes(std::uint64_t place, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(place));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      throw InputFileError(
          fmt::format("{}: cannot be read: {}", path_.string(),
                      count < 0 ? std::generic_category().message(errno) : "it has been cut"));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    place += static_cast<std::uint64_t>(count);
  }
}

void NpyRows::read(std::int64_t first_row, std::span<float> rows) const {
  read_bytes(header_size_ + static_cast<std::uint64_t>(first_row * row_size_) * sizeof(float),
             std::as_writable_bytes(rows));
}

void NpyRows::sync() {
  if (::fsync(file_.get()) != 0) {
    throw_output_error("write", path_, errno);
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
  write_header();
}

void NpyRows::write_header() {
  const std::string bytes = header();
  const ssize_t written = ::pwrite(file_.get(), bytes.data(), bytes.size(), 0);
  if (written != static_cast<ssize_t>(bytes.size())) {
    throw_output_error("write", path_, written < 0 ? errno : EIO);
  }
}

std::string NpyRows::header() const { return npy_header("<f4", shape_, header_size_); }

}  // namespace ebm
