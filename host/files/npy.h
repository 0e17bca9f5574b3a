// NumPy's .npy files, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ebm {

/// An array in C order: the last index of `shape` varies fastest.
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// The same of 8-bit levels, as images have them.
struct NpyLevels {
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> values;
};

/// Writes `values`, in C order, as a version 1.0 file of dtype '<f4' or '<f8'; the header is padded
/// so that the data start at a multiple of 64 bytes. The file appears whole or not at all.
/// Throws OutputError, and std::invalid_argument when `shape` is not that of `values`.
void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const float> values);
void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const double> values);

/// The header that stands before the values of such a file, a multiple of 64 bytes and no fewer
/// than `at_least`.
std::string npy_header(std::string_view dtype, std::span<const std::int64_t> shape,
                       std::size_t at_least = 0);

/// Reads a file of version 1, 2 or 3, dtype '<f4', '<f2', '<f8' (rounded to float) or '|u1', in C
/// order. Throws InputFileError naming the file and what is wrong with it.
std::variant<NpyArray, NpyLevels> read_npy_or_levels(const std::filesystem::path& path);

/// The same, but throws for '|u1' too.
NpyArray read_npy(const std::filesystem::path& path);

/// The values of a '<f8' file of this shape, as they were written. Throws InputFileError for others
/// too.
std::vector<double> read_npy_doubles(const std::filesystem::path& path,
                                     std::span<const std::int64_t> shape);

}  // namespace ebm
