#include "host/data/load_images.h"

#include <fmt/format.h>

#include <stdexcept>

#include "host/data/cifar10.h"
#include "host/data/flowers102.h"
#include "host/data/image_folder.h"
#include "host/data/mnist.h"

namespace ebm {

namespace {

ImageDataset load(const DataConfig& data, const PictureReading& reading) {
  switch (data.kind) {
    case DataKind::mnist:
      return load_mnist(data.path, data.image_size, data.channels, data.split);
    case DataKind::cifar10:
      return load_cifar10(data.path, data.image_size, data.channels, data.split, reading.progress);
    case DataKind::flowers102:
      return load_flowers102(data.path, data.image_size, data.channels, reading);
    case DataKind::folder:
      return load_image_folder(data.path, data.image_size, data.channels, reading);
    case DataKind::gmm:
    case DataKind::rings:
      break;
  }
  throw std::invalid_argument("load_images: toy densities have no images");
}

}  // namespace

ImageDataset load_images(const DataConfig& data, const LoadProgress& progress,
                         const LoadNote& note) {
  ImageDataset images = load(data, {data.exif, data.unreadable, progress, note});
  if (images.left_out > 0 && note) {
    note(fmt::format("{} of {} pictures cannot be read and are left out (data.unreadable: skip)",
                     images.left_out, images.count + images.left_out));
  }
  return images;
}

}  // namespace ebm
