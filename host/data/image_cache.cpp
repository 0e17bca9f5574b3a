#include "host/data/image_cache.h"

#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/base/posix_file.h"
#include "host/files/cache_folder.h"
#include "host/files/safetensors.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// To be raised with every change of what decode_picture(), with_channels() or prepare_image()
/// make of a file.
constexpr int kPreparation = 2;
constexpr const char* kImages = "images";
constexpr const char* kDigest = "digest";
constexpr const char* kLeftOut = "left_out";

std::string file_name(const PreparedImages& key) {
  return fmt::format("{}_{}x{}x{}{}{}_v{}.safetensors", to_text(key.source), key.channels,
                     key.image_size, key.image_size, key.exif == ExifUse::apply ? "_exif" : "",
                     key.unreadable == Unreadable::skip ? "_skip" : "", kPreparation);
}

std::string digest_text(const std::vector<float>& values) {
  return to_text(digest_of(std::as_bytes(std::span(values))));
}

}  // namespace

std::optional<ImageDataset> find_prepared(const PreparedImages& key) {
  const std::optional<fs::path> folder = cache_folder();
  std::error_code ignored;  // what cannot be looked at is not there
  if (!folder || !fs::exists(*folder / file_name(key), ignored)) {
    return std::nullopt;
  }
  TensorFile file;
  try {
    file = read_safetensors(*folder / file_name(key));
  } catch (const InputFileError&) {
    return std::nullopt;  // to be prepared and written anew
  }
  if (file.tensors.size() != 1) {
    return std::nullopt;
  }
  Tensor& images = file.tensors.front();
  const std::vector<std::int64_t>& shape = images.shape;
  const std::optional<int> left_out = parse_number<int>(file.metadata[kLeftOut]);
  if (!left_out || shape.size() != 4 || shape[0] < 1 ||
      shape[0] > std::numeric_limits<int>::max() || shape[1] != key.channels ||
      shape[2] != key.image_size || shape[3] != key.image_size ||
      file.metadata[kDigest] != digest_text(images.values)) {
    return std::nullopt;
  }
  return ImageDataset{.count = static_cast<int>(shape[0]),
                      .channels = key.channels,
                      .height = key.image_size,
                      .width = key.image_size,
                      .images = std::move(images.values),
                      .left_out = *left_out};
}

void keep_prepared(const PreparedImages& key, const ImageDataset& dataset) {
  const std::optional<fs::path> folder = cache_folder();
  if (!folder) {
    return;
  }
  const fs::path path = *folder / file_name(key);
  const TensorView images{
      kImages, {dataset.count, dataset.channels, dataset.height, dataset.width}, dataset.images};
  try {
    make_folder(*folder);
    std::error_code ignored;
    fs::remove(path, ignored);  // a damaged file, if there is one
    write_safetensors(
        path, std::span(&images, 1),
        {{kDigest, digest_text(dataset.images)}, {kLeftOut, std::to_string(dataset.left_out)}},
        Existing::kept);
  } catch (const OutputError&) {  // NOLINT(bugprone-empty-catch): the next start takes longer
  }
}

}  // namespace ebm
