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

constexpr int kFiles = 5;
constexpr int kSide = 32;
constexpr std::size_t kPlane = std::size_t{kSide} * kSide;
constexpr std::size_t kImage = 3 * kPlane;
constexpr std::size_t kRecord = 1 + kImage;
constexpr std::byte kLastLabel{9};
constexpr std::byte kPickleStart{0x80};
constexpr std::size_t kLargestFile = std::size_t{1} << 30;

/// Where the batches may be, and how their names go on after the number.
struct Place {
  fs::path folder;
  const char* ending;
};

Place find_batches(const fs::path& folder) {
  for (const Place& place : {Place{folder, ".bin"}, Place{folder / "cifar-10-batches-bin", ".bin"},
                             Place{folder, ""}, Place{folder / "cifar-10-batches-py", ""}}) {
    std::error_code ignored;  // what cannot be looked at is not there
    if (fs::exists(place.folder / fmt::format("data_batch_1{}", place.ending), ignored)) {
      return place;
    }
  }
  throw InputFileError(fmt::format(
      "{}: holds no CIFAR-10 (looked for data_batch_1.bin and data_batch_1, also in "
      "cifar-10-batches-bin and cifar-10-batches-py); fetch it with ebm_fetch_dataset cifar10 "
      "(tools/user/fetch_dataset.sh of the sources), or set data.path to the folder that has it",
      folder.string()));
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

ImageDataset load_cifar10(const fs::path& folder, int image_size, int channels,
                          const LoadProgress& progress) {
  const Place place = find_batches(folder);
  std::vector<std::byte> images;
  for (int i = 1; i <= kFiles; ++i) {
    const std::vector<std::byte> batch =
        read_batch(place.folder / fmt::format("data_batch_{}{}", i, place.ending));
    images.insert(images.end(), batch.begin(), batch.end());
  }
  return prepare_planes(images, image_size, channels, progress);
}

ImageDataset load_cifar10_batch(const fs::path& file, int image_size, int channels) {
  return prepare_planes(read_batch(file), image_size, channels, {});
}

}  // namespace ebm
