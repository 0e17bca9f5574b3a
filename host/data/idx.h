// IDX files of images, the format of MNIST: http://yann.lecun.com/exdb/mnist
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace ebm {

/// Grey 8-bit images of one size.
struct IdxImages {
  int count = 0;
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;  ///< count × height × width, the first row at the top
};

/// Reads an IDX file of 8-bit images (magic number 0x00000803), plain or compressed by gzip.
/// Throws InputFileError naming the file, what is wrong with it and what was expected: a lying
/// header is found out before more is allocated than the file holds.
IdxImages read_idx_images(const std::filesystem::path& path);

}  // namespace ebm
