// Pictures and the files that hold them, for tests.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdio>
// jpeglib.h needs FILE before it is included
#include <jpeglib.h>
#include <zlib.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/picture.h"
#include "host/output/png_grid.h"
#include "tests/support/temporary_folder.h"

namespace ebm {

/// A smooth picture; another seed gives another one.
inline Picture smooth_picture(int height, int width, int channels, unsigned seed = 0) {
  Picture picture{{}, height, width, channels};
  for (unsigned y = 0; y < static_cast<unsigned>(height); ++y) {
    for (unsigned x = 0; x < static_cast<unsigned>(width); ++x) {
      const std::array<unsigned, 3> rgb = {2 * x + 9 * seed, 3 * y + 5 * seed, x + y + 50};
      for (int c = 0; c < channels; ++c) {
        picture.pixels.push_back(static_cast<std::uint8_t>(rgb[static_cast<std::size_t>(c)] % 200));
      }
    }
  }
  return picture;
}

/// A JPEG file of the picture; four channels are taken for CMYK, stored as that or as YCCK.
inline std::string jpeg_bytes(const Picture& picture, bool progressive = false, bool ycck = false) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);  // ends the program on an error, of which there is none
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(picture.width);
  jpeg.image_height = static_cast<JDIMENSION>(picture.height);
  jpeg.input_components = picture.channels;
  jpeg.in_color_space = picture.channels == 1   ? JCS_GRAYSCALE
                        : picture.channels == 3 ? JCS_RGB
                                                : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  if (ycck) {
    jpeg_set_colorspace(&jpeg, JCS_YCCK);
  }
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) {
    jpeg_simple_progression(&jpeg);
  }
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<std::uint8_t> pixels = picture.pixels;
  const std::size_t row =
      static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.channels);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW line = pixels.data() + jpeg.next_scanline * row;
    jpeg_write_scanlines(&jpeg, &line, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return file;
}

inline std::string png_bytes(const Picture& picture) {
  const TemporaryFolder folder;
  write_png(folder / "x.png", picture.pixels, picture.height, picture.width, picture.channels);
  return read_bytes(folder / "x.png");
}

/// A number's bytes, the highest first.
inline std::string big_endian(std::uint32_t number, int size) {
  std::string bytes;
  for (int i = size - 1; i >= 0; --i) {
    bytes += static_cast<char>(number >> 8 * i);
  }
  return bytes;
}

/// The PNG file with one chunk more, behind its header.
inline std::string with_chunk(std::string png, const std::string& type, const std::string& data) {
  constexpr std::size_t kHeaderEnd = 8 + 25;
  const std::string content = type + data;
  const auto sum = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
  return png.insert(kHeaderEnd, big_endian(static_cast<std::uint32_t>(data.size()), 4) + content +
                                    big_endian(sum, 4));
}

/// Exif data that say an orientation, and something else before it.
inline std::string exif_of(int orientation) {
  return std::string("MM\0*\0\0\0\x08", 8) + big_endian(2, 2) + big_endian(271, 2) +
         big_endian(2, 2) + big_endian(4, 4) + "EBM" + '\0' + big_endian(274, 2) +
         big_endian(3, 2) + big_endian(1, 4) +
         big_endian(static_cast<std::uint32_t>(orientation), 2) + big_endian(0, 2) +
         big_endian(0, 4);
}

/// CIFAR-10's record of a label and planes.
inline std::string cifar10_record(char label, const Picture& picture) {
  std::string bytes(1, label);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = c; i < picture.pixels.size(); i += 3) {
      bytes += static_cast<char>(picture.pixels[i]);
    }
  }
  return bytes;
}

/// Writes a file, and the folders on its way.
inline void write_below(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  write_bytes(path, bytes);
}

/// What goes into an archive.
struct TarEntry {
  std::string name;
  std::string bytes{};
  mode_t type = AE_IFREG;
  std::string link{};        ///< of a symbolic or, for AE_IFREG, a hard link
  std::int64_t data_at = 0;  ///< bytes before it are left out, as in a sparse file
};

/// Writes a tar archive, hostile or not; compressed by gzip if its name ends in .tgz.
inline void write_tar(const std::filesystem::path& path, const std::vector<TarEntry>& entries) {
  const std::unique_ptr<archive, int (*)(archive*)> tar(archive_write_new(), archive_write_free);
  if (path.extension() == ".tgz") {
    archive_write_add_filter_gzip(tar.get());
    archive_write_set_filter_option(tar.get(), "gzip", "timestamp", nullptr);  // same bytes always
  }
  archive_write_set_format_pax_restricted(tar.get());
  if (archive_write_open_filename(tar.get(), path.c_str()) != ARCHIVE_OK) {
    throw std::runtime_error("cannot write " + path.string());
  }
  for (const TarEntry& entry : entries) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> header(archive_entry_new(),
                                                                          archive_entry_free);
    archive_entry_set_pathname(header.get(), entry.name.c_str());
    archive_entry_set_filetype(header.get(), entry.type);
    archive_entry_set_perm(header.get(), 0644);
    archive_entry_set_size(header.get(), std::ssize(entry.bytes));
    if (entry.type == AE_IFLNK) {
      archive_entry_set_symlink(header.get(), entry.link.c_str());
    } else if (!entry.link.empty()) {
      archive_entry_set_hardlink(header.get(), entry.link.c_str());
    }
    if (entry.data_at > 0) {
      archive_entry_sparse_add_entry(header.get(), entry.data_at,
                                     std::ssize(entry.bytes) - entry.data_at);
    }
    archive_write_header(tar.get(), header.get());
    archive_write_data(tar.get(), entry.bytes.data(), entry.bytes.size());
  }
}

}  // namespace ebm
