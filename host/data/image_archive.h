// Images in a .tgz file, read without unpacking it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ebm {

/// A file of an archive.
struct ArchivedFile {
  std::string name;  ///< its path in the archive
  std::vector<std::byte> bytes;
};

/// The JPEG and PNG files (is_image_name()) of a tar archive compressed by gzip, whose content is
/// `bytes`, sorted by name. Nothing is written anywhere. `path` is for messages.
///
/// Throws InputFileError when the archive is damaged, cut short or holds no images; and for what no
/// archive of images has any use for: links, devices, absolute paths, paths with "..", a name
/// twice, an image of more than 64 MiB, and more than 4 GiB or a million entries in all.
std::vector<ArchivedFile> read_image_archive(std::span<const std::byte> bytes,
                                             const std::filesystem::path& path);

}  // namespace ebm
