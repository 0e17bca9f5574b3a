#include "host/data/cifar10.h"

#include <fmt/format.h>

#include <cstddef>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/cifar10_pickle.h"
#include "host/data/image_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr std::size_t kPlane = std::size_t{kSide} * kSide;
constexpr std::size_t kImage = 3 * kPlane;
constexpr std::size_t kRecord = 1 + kImage;
constexpr std::byte kLastLabel{9};
constexpr std::byte kPickleStart{0x80};
constexpr std::size_t kLargestFile = std::size_t{1} << 30;

/// Where the batches may be, and how their names end.
struct Place {
  fs::path folder;
  const char* ending;
};

/// The batches' names without their ending.
std::vector<std::string> batches(DataSplit split) {
  if (split == DataSplit::test) return {"test_batch"};
  return {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"};
}

Place find_batches(const fs::path& folder, const std::string& first) {
  for (const Place& place : {Place{folder, ".bin"}, Place{folder / "cifar-10-batches-bin", ".bin"},
                             Place{folder, ""}, Place{folder / "cifar-10-batches-py", ""}}) {
    std::error_code ignored;  // what cannot be looked at is not there
    if (fs::exists(place.folder / (first + place.ending), ignored)) {
      return place;
    }
  }
  throw InputFileError(fmt::format(
      "{0}: holds no CIFAR-10 (looked for {1}.bin and {1}, also in "
      "cifar-10-batches-bin and cifar-10-batches-py); fetch it with ebm_fetch_dataset cifar10 "
      "(tools/user/fetch_dataset.sh of the sources), or set data.path to the folder that has it",
      folder.string(), first));
}

/// Records without their labels.
std::vector<std::byte> images_of_records(std::span<const std::byte> records, const fs::path& path) {
  const auto fail = [&](const std::string& problem) {
    throw InputFileError(fmt::format("{}: {}", path.string(), problem));
  };
  if (records.empty() || records.size() % kRecord != 0) {
    fail(
        fmt::format("is {} bytes long, which is no whole number of CIFAR-10's records of {} "
                    "bytes; fetch it again",
                    records.size(), kRecord));
  }
  std::vector<std::byte> images;
  for (std::size_t start = 0; start < records.size(); start += kRecord) {
    const std::span record = records.subspan(start, kRecord);
    if (record.front() > kLastLabel) {
      fail(fmt::format("record {} has label {}, CIFAR-10 has 0 to 9; fetch it again",
                       start / kRecord, std::to_integer<int>(record.front())));
    }
    images.insert(images.end(), record.begin() + 1, record.end());
  }
  return images;
}

/// The planes of all images.
std::vector<std::byte> read_batch(const fs::path& path) {
  const std::vector<std::byte> bytes = read_whole_file(path, kLargestFile);
  return !bytes.empty() && bytes.front() == kPickleStart ? read_cifar10_pickle(bytes, path)
                                                         : images_of_records(bytes, path);
}

/// From planes of R, G and B to pixels.
Picture interleave(std::span<const std::byte> planes) {
  Picture picture{std::vector<std::uint8_t>(planes.size()), kSide, kSide, 3};
  for (std::size_t i = 0; i < planes.size(); ++i) {
    picture.pixels[i % kPlane * 3 + i / kPlane] = std::to_integer<std::uint8_t>(planes[i]);
  }
  return picture;
}

ImageDataset prepare_planes(std::span<const std::byte> images, int image_size, int channels,
                            const LoadProgress& progress) {
  return prepare_images(
      images.size() / kImage,
      [&](std::size_t i) { return interleave(images.subspan(i * kImage, kImage)); }, image_size,
      channels, progress);
}

}  // namespace

ImageDataset load_cifar10(const fs::path& folder, int image_size, int channels, DataSplit split,
                          const LoadProgress& progress) {
  const std::vector<std::string> names = batches(split);
  const Place place = find_batches(folder, names.front());
  std::vector<std::byte> images;
  for (const std::string& name : names) {
    const std::vector<std::byte> batch = read_batch(place.folder / (name + place.ending));
    images.insert(images.end(), batch.begin(), batch.end());
  }
  return prepare_planes(images, image_size, channels, progress);
}

ImageDataset load_cifar10_batch(const fs::path& file, int image_size, int channels) {
  return prepare_planes(read_batch(file), image_size, channels, {});
}

}  // namespace ebm
