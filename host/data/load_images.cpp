#include "host/data/load_images.h"

#include <stdexcept>

#include "host/data/cifar10.h"
#include "host/data/flowers102.h"
#include "host/data/image_folder.h"
#include "host/data/mnist.h"

namespace ebm {

ImageDataset load_images(const DataConfig& data, const LoadProgress& progress) {
  switch (data.kind) {
    case DataKind::mnist:
      return load_mnist(data.path, data.image_size, data.channels);
    case DataKind::cifar10:
      return load_cifar10(data.path, data.image_size, data.channels, progress);
    case DataKind::flowers102:
      return load_flowers102(data.path, data.image_size, data.channels, progress);
    case DataKind::folder:
      return load_image_folder(data.path, data.image_size, data.channels, progress);
    case DataKind::gmm:
    case DataKind::rings:
      break;
  }
  throw std::invalid_argument("load_images: toy densities have no images");
}

}  // namespace ebm
