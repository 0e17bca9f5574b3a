#include "host/data/mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>

#include "host/data/idx.h"
#include "host/data/prepare_image.h"
#include "host/errors.h"

namespace ebm {
namespace {

constexpr std::array kFileNames = {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz",
                                   "train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"};

std::filesystem::path find_training_images(const std::filesystem::path& folder) {
  for (const char* name : kFileNames) {
    std::error_code ignored;  // what cannot be looked at is not there
    if (std::filesystem::exists(folder / name, ignored)) {
      return folder / name;
    }
  }
  throw InputFileError(
      fmt::format("{}: holds no MNIST training images (looked for {}); fetch them with "
                  "tools/fetch_dataset, or set data.path to the folder that has one of these",
                  folder.string(), fmt::join(kFileNames, ", ")));
}

}  // namespace

ImageDataset load_mnist(const std::filesystem::path& folder, int image_size, int channels) {
  if (image_size < 1 || (channels != 1 && channels != 3)) {
    throw std::invalid_argument(
        fmt::format("load_mnist: image_size {}, channels {}", image_size, channels));
  }
  const IdxImages digits = read_idx_images(find_training_images(folder));
  const std::span<const std::uint8_t> pixels = digits.pixels;
  const auto count = static_cast<std::size_t>(digits.count);
  const std::size_t digit_size = pixels.size() / count;
  const std::size_t plane_size =
      static_cast<std::size_t>(image_size) * static_cast<std::size_t>(image_size);
  const std::size_t image_length = plane_size * static_cast<std::size_t>(channels);
  ImageDataset dataset{.count = digits.count,
                       .channels = channels,
                       .height = image_size,
                       .width = image_size,
                       .images = std::vector<float>(count * image_length)};
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < count; ++i) {
    const std::span image = std::span(dataset.images).subspan(i * image_length, image_length);
    const std::span grey = image.first(plane_size);
    prepare_image({.pixels = pixels.subspan(i * digit_size, digit_size),
                   .height = digits.height,
                   .width = digits.width,
                   .channels = 1},
                  image_size, grey);
    for (std::size_t c = 1; c < static_cast<std::size_t>(channels); ++c) {
      std::ranges::copy(grey, image.subspan(c * plane_size).begin());
    }
  }
  return dataset;
}

}  // namespace ebm
