#include "host/data/cifar10.h"

#include <fmt/format.h>

#include <cstddef>
#include <span>
#include <system_error>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/image_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr int kFiles = 5;
constexpr int kSide = 32;
constexpr std::size_t kPlane = std::size_t{kSide} * kSide;
constexpr std::size_t kRecord = 1 + 3 * kPlane;
constexpr std::byte kLastLabel{9};
constexpr std::size_t kLargestFile = std::size_t{1} << 30;

fs::path find_batches(const fs::path& folder) {
  for (const fs::path& candidate : {folder, folder / "cifar-10-batches-bin"}) {
    std::error_code ignored;  // what cannot be looked at is not there
    if (fs::exists(candidate / "data_batch_1.bin", ignored)) {
      return candidate;
    }
  }
  throw InputFileError(fmt::format(
      "{}: holds no CIFAR-10 (looked for data_batch_1.bin); fetch the binary version "
      "with ebm_fetch_dataset cifar10 (tools/user/fetch_dataset.sh of the sources), or set "
      "data.path to the folder that has it",
      folder.string()));
}

std::vector<std::byte> read_records(const fs::path& path) {
  std::vector<std::byte> bytes = read_whole_file(path, kLargestFile);
  const auto fail = [&](const std::string& problem) {
    throw InputFileError(fmt::format("{}: {}", path.string(), problem));
  };
  if (bytes.empty() || bytes.size() % kRecord != 0) {
    fail(
        fmt::format("is {} bytes long, which is no whole number of CIFAR-10's records of {} "
                    "bytes; fetch it again",
                    bytes.size(), kRecord));
  }
  for (std::size_t start = 0; start < bytes.size(); start += kRecord) {
    if (bytes[start] > kLastLabel) {
      fail(fmt::format("record {} has label {}, CIFAR-10 has 0 to 9; fetch its binary version",
                       start / kRecord, std::to_integer<int>(bytes[start])));
    }
  }
  return bytes;
}

/// From planes of R, G and B to pixels.
Picture interleave(std::span<const std::byte> planes) {
  Picture picture{std::vector<std::uint8_t>(planes.size()), kSide, kSide, 3};
  for (std::size_t i = 0; i < planes.size(); ++i) {
    picture.pixels[i % kPlane * 3 + i / kPlane] = std::to_integer<std::uint8_t>(planes[i]);
  }
  return picture;
}

}  // namespace

ImageDataset load_cifar10(const fs::path& folder, int image_size, int channels,
                          const LoadProgress& progress) {
  const fs::path batches = find_batches(folder);
  std::vector<std::byte> records;
  for (int i = 1; i <= kFiles; ++i) {
    const std::vector<std::byte> file = read_records(batches / fmt::format("data_batch_{}.bin", i));
    records.insert(records.end(), file.begin(), file.end());
  }
  return prepare_images(
      records.size() / kRecord,
      [&](std::size_t i) {
        return interleave(std::span(records).subspan(i * kRecord + 1, kRecord - 1));
      },
      image_size, channels, progress);
}

}  // namespace ebm
