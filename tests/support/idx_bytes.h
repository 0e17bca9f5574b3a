// IDX files for tests.
#pragma once

#include <zlib.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace ebm {

/// The header of an IDX file with three dimensions, followed by `pixels`.
inline std::string idx_bytes(const std::array<std::uint32_t, 3>& shape, const std::string& pixels,
                             std::uint32_t magic = 0x00000803) {
  std::string bytes;
  for (const std::uint32_t value : {magic, shape[0], shape[1], shape[2]}) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes += static_cast<char>(value >> shift & 0xFF);
    }
  }
  return bytes + pixels;
}

/// `size` bytes that look like nothing in particular, always the same.
inline std::string arbitrary_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(i * 2654435761U >> 13);
  }
  return bytes;
}

inline void write_gzip(const std::filesystem::path& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  const auto size = static_cast<unsigned>(bytes.size());
  if (file == nullptr || gzwrite(file, bytes.data(), size) != static_cast<int>(size) ||
      gzclose_w(file) != Z_OK) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

}  // namespace ebm
