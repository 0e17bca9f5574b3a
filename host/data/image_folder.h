// Folders of photographs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

#include "host/data/image_dataset.h"
#include "host/data/prepare_images.h"

namespace ebm {

/// Whether a path's name ends in .jpg, .jpeg or .png, in capitals or not, and neither it nor a
/// folder on its way is hidden by a leading dot.
bool is_image_name(std::string_view path);

/// The content of a file of at most `most` bytes. Throws InputFileError.
std::vector<std::byte> read_whole_file(const std::filesystem::path& path, std::size_t most);

/// How pictures are read, and who is told what of them.
struct PictureReading {
  ExifUse exif = ExifUse::ignore;
  Unreadable unreadable = Unreadable::error;
  LoadProgress progress{};
  LoadNote note{};
};

/// All JPEG and PNG files in `folder` and the folders in it, in the order of their paths (byte by
/// byte), prepared as prepare_images() does. Links to files are followed, links to folders are not.
/// Prepared images are kept in the image cache, under a digest of all files' content. Notes how
/// many pictures with other endings there are, by ending.
///
/// Throws InputFileError when the folder cannot be read or holds no images, or naming the files, in
/// that order, that cannot be read.
ImageDataset load_image_folder(const std::filesystem::path& folder, int image_size, int channels,
                               const PictureReading& reading = {});

}  // namespace ebm
