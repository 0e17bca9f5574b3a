#include "host/data/mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "host/data/idx.h"
#include "host/data/prepare_images.h"

namespace ebm {
namespace {

constexpr std::array kFolders = {"", "raw", "MNIST/raw"};
constexpr std::array kEndings = {"-images-idx3-ubyte", "-images-idx3-ubyte.gz",
                                 "-images.idx3-ubyte", "-images.idx3-ubyte.gz"};

std::filesystem::path find_images(const std::filesystem::path& folder, DataSplit split) {
  const bool test = split == DataSplit::test;
  std::array<std::string, kEndings.size()> names;
  std::ranges::transform(kEndings, names.begin(), [test](const char* ending) {
    return std::string(test ? "t10k" : "train") + ending;
  });
  for (const char* inner : kFolders) {
    for (const std::string& name : names) {
      std::error_code ignored;  // what cannot be looked at is not there
      if (std::filesystem::exists(folder / inner / name, ignored)) {
        return folder / inner / name;
      }
    }
  }
  throw InputFileError(fmt::format(
      "{}: holds no MNIST {} images (looked for {}, also in raw and MNIST/raw); fetch them with "
      "ebm_fetch_dataset mnist (tools/user/fetch_dataset.sh of the sources), or set data.path to "
      "the folder that has one of these",
      folder.string(), test ? "test" : "training", fmt::join(names, ", ")));
}

}  // namespace

ImageDataset load_mnist(const std::filesystem::path& folder, int image_size, int channels,
                        DataSplit split) {
  return load_idx_images(find_images(folder, split), image_size, channels);
}

ImageDataset load_idx_images(const std::filesystem::path& file, int image_size, int channels) {
  if (image_size < 1 || (channels != 1 && channels != 3)) {
    throw std::invalid_argument(
        fmt::format("load_idx_images: image_size {}, channels {}", image_size, channels));
  }
  const IdxImages digits = read_idx_images(file);
  const auto count = static_cast<std::size_t>(digits.count);
  const auto size = static_cast<std::ptrdiff_t>(digits.pixels.size() / count);
  return prepare_images(
      count,
      [&](std::size_t i) {
        const auto first = digits.pixels.begin() + static_cast<std::ptrdiff_t>(i) * size;
        return Picture{std::vector<std::uint8_t>(first, first + size), digits.height, digits.width,
                       1};
      },
      image_size, channels);
}

}  // namespace ebm
