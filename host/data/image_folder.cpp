#include "host/data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "cuda/base/errors.h"
#include "host/data/image_cache.h"
#include "host/files/input_file.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestFile = std::size_t{1} << 28;

std::vector<fs::path> find_images(const fs::path& folder) {
  std::vector<fs::path> images;
  try {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      std::error_code ignored;  // opening it will tell
      if (is_image_name(entry.path().lexically_relative(folder).native()) &&
          !entry.is_directory(ignored)) {
        images.push_back(entry.path());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw InputFileError(fmt::format(
        "{}: cannot be read as a folder of images: {}",
        error.path1().empty() ? folder.string() : error.path1().string(), error.code().message()));
  }
  if (images.empty()) {
    throw InputFileError(
        fmt::format("{}: holds no images (looked for .jpg, .jpeg and .png files in it and its "
                    "folders); set data.path to a folder that does",
                    folder.string()));
  }
  std::ranges::sort(images, {}, [](const fs::path& path) { return path.native(); });
  return images;
}

}  // namespace

bool is_image_name(std::string_view path) {
  static constexpr std::array<std::string_view, 3> kExtensions = {".jpg", ".jpeg", ".png"};
  std::string lower(path);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto visible = [](const fs::path& part) { return !part.native().starts_with('.'); };
  return std::ranges::any_of(kExtensions, [&](auto end) { return lower.ends_with(end); }) &&
         std::ranges::all_of(fs::path(path),
                             [&](const fs::path& part) { return part == "." || visible(part); });
}

std::vector<std::byte> read_whole_file(const fs::path& path, std::size_t most) {
  InputFile file(path);
  if (file.remaining() > most) {
    file.fail(fmt::format("is {} bytes long; {} can be read", file.remaining(), most));
  }
  std::vector<std::byte> bytes(file.remaining());
  file.read(bytes);
  return bytes;
}

ImageDataset load_image_folder(const fs::path& folder, int image_size, int channels,
                               const LoadProgress& progress) {
  const std::vector<fs::path> files = find_images(folder);
  std::vector<Digest> digests(files.size());
  for_each_in_parallel(files.size(), [&](std::size_t i) {
    digests[i] = digest_of(read_whole_file(files[i], kLargestFile));
  });
  const PreparedImages key{.source = digest_of(std::as_bytes(std::span(digests))),
                           .image_size = image_size,
                           .channels = channels};
  if (std::optional<ImageDataset> kept = find_prepared(key)) {
    return *std::move(kept);
  }
  ImageDataset dataset = prepare_images(
      files.size(),
      [&](std::size_t i) {
        return decode_picture(read_whole_file(files[i], kLargestFile), files[i].string());
      },
      image_size, channels, progress);
  keep_prepared(key, dataset);
  return dataset;
}

}  // namespace ebm
