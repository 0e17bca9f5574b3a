#include "host/data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>
#include <optional>
#include <set>
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

constexpr std::array<std::string_view, 3> kExtensions = {".jpg", ".jpeg", ".png"};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

/// Whether neither a path's last name nor a folder on its way is hidden by a leading dot.
bool is_visible(const fs::path& path) {
  return std::ranges::all_of(
      path, [](const fs::path& part) { return part == "." || !part.native().starts_with('.'); });
}

/// The files of a folder, by the endings of their names.
struct FoundImages {
  std::vector<fs::path> images;                      ///< in order
  std::map<std::string, std::size_t> passed_over{};  ///< how many other pictures, by ending
};

/// "2 .bmp, 1 .webp".
std::string passed_over(const FoundImages& found) {
  std::vector<std::string> parts;
  for (const auto& [ending, count] : found.passed_over) {
    parts.push_back(fmt::format("{} {}", count, ending));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

FoundImages find_images(const fs::path& folder) {
  static const std::set<std::string, std::less<>> kOtherPictures = {
      ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2",  ".jpe",
      ".jxl",  ".pbm", ".pgm", ".pnm",  ".ppm",  ".tif",  ".tiff", ".webp"};
  FoundImages found;
  try {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      std::error_code ignored;  // opening it will tell
      const fs::path name = entry.path().lexically_relative(folder);
      if (entry.is_directory(ignored) || !is_visible(name)) {
        continue;
      }
      if (is_image_name(name.native())) {
        found.images.push_back(entry.path());
      } else if (const std::string ending = lower_case(name.extension().native());
                 kOtherPictures.contains(ending)) {
        ++found.passed_over[ending];
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw InputFileError(fmt::format(
        "{}: cannot be read as a folder of images: {}",
        error.path1().empty() ? folder.string() : error.path1().string(), error.code().message()));
  }
  if (found.images.empty()) {
    throw InputFileError(fmt::format(
        "{}: holds no images (looked for .jpg, .jpeg and .png files in it and its folders{}); set "
        "data.path to a folder that does",
        folder.string(),
        found.passed_over.empty() ? ""
                                  : "; there are " + passed_over(found) + ", to be converted"));
  }
  std::ranges::sort(found.images, {}, [](const fs::path& path) { return path.native(); });
  return found;
}

}  // namespace

bool is_image_name(std::string_view path) {
  const std::string lower = lower_case(path);
  return std::ranges::any_of(kExtensions, [&](auto end) { return lower.ends_with(end); }) &&
         is_visible(path);
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
                               const PictureReading& reading) {
  const FoundImages found = find_images(folder);
  const std::vector<fs::path>& files = found.images;
  if (reading.note && !found.passed_over.empty()) {
    reading.note(fmt::format("passed over in {}: {}; .jpg, .jpeg and .png are read",
                             folder.string(), passed_over(found)));
  }
  std::vector<Digest> digests(files.size());
  for_each_in_parallel(files.size(), [&](std::size_t i) {
    try {
      digests[i] = digest_of(read_whole_file(files[i], kLargestFile));
    } catch (const InputFileError&) {  // NOLINT(bugprone-empty-catch): found again, and told, below
    }
  });
  const PreparedImages key{.source = digest_of(std::as_bytes(std::span(digests))),
                           .image_size = image_size,
                           .channels = channels,
                           .exif = reading.exif,
                           .unreadable = reading.unreadable};
  std::optional<ImageDataset> dataset = find_prepared(key);
  if (!dataset) {
    dataset = prepare_images(
        files.size(),
        [&](std::size_t i) {
          return decode_picture(read_whole_file(files[i], kLargestFile), files[i].string(),
                                reading.exif);
        },
        image_size, channels, reading.progress, reading.unreadable);
    keep_prepared(key, *dataset);
  }
  return *std::move(dataset);
}

}  // namespace ebm
