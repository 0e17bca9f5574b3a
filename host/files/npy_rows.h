// A .npy file that grows by rows: the record of a long run, readable while the run goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cuda/base/posix_file.h"

namespace ebm {

/// An array of shape (rows so far, row_shape...) of '<f4'. append() writes the rows and then the
/// header that counts them, so at any moment, and after a crash of the process, the file is a
/// readable array of whole rows. Memory does not grow with it.
class NpyRows {
 public:
  /// Makes the file, of no rows, and replaces an old one; or opens it and keeps the first `kept`
  /// rows that another NpyRows wrote, and cuts the others off. Throws OutputError naming the path,
  /// the reason and a remedy; InputFileError when the file does not hold as many such rows.
  NpyRows(std::filesystem::path path, std::vector<std::int64_t> row_shape, std::int64_t kept = 0);

  /// Adds whole rows. Throws OutputError when not all could be written; the array then is what it
  /// was before.
  void append(std::span<const float> rows);

  /// Reads whole rows, from this one on. Throws InputFileError.
  void read(std::int64_t first_row, std::span<float> rows) const;

  /// Makes all that was appended outlive a power cut. Throws OutputError.
  void sync();

  std::int64_t rows() const { return rows_; }

 private:
  void keep(std::int64_t rows);
  void read_bytes(std::uint64_t place, std::span<std::byte> bytes) const;
  void write_header();
  std::string header() const;

  std::filesystem::path path_;
  std::vector<std::int64_t> shape_;  // the number of rows first
  std::int64_t row_size_ = 1;
  std::int64_t rows_ = 0;
  std::size_t header_size_ = 0;
  FileDescriptor file_;
};

}  // namespace ebm
