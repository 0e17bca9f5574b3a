#include "host/data/flowers102.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/image_archive.h"
#include "host/data/image_cache.h"
#include "host/data/image_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "jpg";
constexpr const char* kArchive = "102flowers.tgz";
constexpr std::size_t kLargestArchive = std::size_t{1} << 32;

ImageDataset load_archive(const fs::path& path, int image_size, int channels,
                          const PictureReading& reading) {
  std::vector<std::byte> bytes = read_whole_file(path, kLargestArchive);
  const PreparedImages key{.source = digest_of(bytes),
                           .image_size = image_size,
                           .channels = channels,
                           .exif = reading.exif,
                           .unreadable = reading.unreadable};
  if (std::optional<ImageDataset> kept = find_prepared(key)) {
    return *std::move(kept);
  }
  const std::vector<ArchivedFile> files = read_image_archive(bytes, path);
  std::vector<std::byte>().swap(bytes);  // hundreds of megabytes that are not needed any more
  ImageDataset dataset = prepare_images(
      files.size(),
      [&](std::size_t i) {
        return decode_picture(files[i].bytes, fmt::format("{}: {}", path.string(), files[i].name),
                              reading.exif);
      },
      image_size, channels, reading.progress, reading.unreadable);
  keep_prepared(key, dataset);
  return dataset;
}

}  // namespace

ImageDataset load_flowers102(const fs::path& path, int image_size, int channels,
                             const PictureReading& reading) {
  std::error_code ignored;  // what cannot be looked at is not there
  if (fs::is_directory(path / kFolder, ignored)) {
    return load_image_folder(path / kFolder, image_size, channels, reading);
  }
  if (fs::exists(path / kArchive, ignored)) {
    return load_archive(path / kArchive, image_size, channels, reading);
  }
  if (path.filename() == kFolder || path.parent_path().filename() == kFolder) {
    return load_image_folder(path, image_size, channels, reading);
  }
  throw InputFileError(fmt::format(
      "{}: holds no Oxford flowers (looked for {} and the folder {}); fetch them with "
      "ebm_fetch_dataset flowers102 (tools/user/fetch_dataset.sh of the sources), or set data.path "
      "to the folder that has one",
      path.string(), kArchive, kFolder));
}

}  // namespace ebm
