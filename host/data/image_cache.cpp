#include "host/data/image_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "host/errors.h"
#include "host/output/cache_folder.h"
#include "host/output/safetensors.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// To be raised with every change of what decode_picture(), with_channels() or prepare_image()
/// make of a file.
constexpr int kPreparation = 1;
constexpr const char* kImages = "images";
constexpr const char* kDigest = "digest";

std::string file_name(const PreparedImages& key) {
  return fmt::format("{}_{}x{}x{}_v{}.safetensors", to_text(key.source), key.channels,
                     key.image_size, key.image_size, kPreparation);
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
  if (shape.size() != 4 || shape[0] < 1 || shape[0] > std::numeric_limits<int>::max() ||
      shape[1] != key.channels || shape[2] != key.image_size || shape[3] != key.image_size ||
      file.metadata[kDigest] != digest_text(images.values)) {
    return std::nullopt;
  }
  return ImageDataset{.count = static_cast<int>(shape[0]),
                      .channels = key.channels,
                      .height = key.image_size,
                      .width = key.image_size,
                      .images = std::move(images.values)};
}

void keep_prepared(const PreparedImages& key, const ImageDataset& dataset) {
  const std::optional<fs::path> folder = cache_folder();
  if (!folder) {
    return;
  }
  std::error_code error;
  fs::create_directories(*folder, error);
  // A name of its own for each process, which takes the final one in one step.
  const fs::path path = *folder / file_name(key);
  const fs::path unfinished = fmt::format("{}.{}", path.string(), ::getpid());
  TensorFile file{
      .tensors = {Tensor{.name = kImages,
                         .shape = {dataset.count, dataset.channels, dataset.height, dataset.width},
                         .values = dataset.images}},
      .metadata = {{kDigest, digest_text(dataset.images)}}};
  try {
    write_safetensors(unfinished, file);
  } catch (const OutputError&) {
    return;  // the next start takes longer, that is all
  }
  fs::rename(unfinished, path, error);
  if (error) {
    fs::remove(unfinished, error);
  }
}

}  // namespace ebm
