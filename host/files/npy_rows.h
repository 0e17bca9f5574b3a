// A .npy file that grows by rows: the record of a long run, readable while the run goes on.
#pragma once

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
  /// Makes the file, of no rows; replaces an old one. Throws OutputError naming the path, the
  /// reason and a remedy.
  NpyRows(std::filesystem::path path, std::vector<std::int64_t> row_shape);

  /// Adds whole rows. Throws OutputError when not all could be written; the array then is what it
  /// was before.
  void append(std::span<const float> rows);

  std::int64_t rows() const { return rows_; }

 private:
  std::string header() const;

  std::filesystem::path path_;
  std::vector<std::int64_t> shape_;  // the number of rows first
  std::int64_t row_size_ = 1;
  std::int64_t rows_ = 0;
  std::size_t header_size_ = 0;
  FileDescriptor file_;
};

}  // namespace ebm
