// The Oxford 102 Category Flower Dataset: https://www.robots.ox.ac.uk/~vgg/data/flowers/102
#pragma once

#include <filesystem>

#include "host/data/image_dataset.h"
#include "host/data/image_folder.h"

namespace ebm {

/// All flowers (8,189 in the published set, without its splits) in the order of their names,
/// prepared as prepare_images() does. `path` is the folder jpg or one that holds it, or a folder
/// that holds 102flowers.tgz, which is read as downloaded. Prepared images are kept in the image
/// cache, under a digest of the images' or the archive's content.
///
/// Throws InputFileError when nothing of this is there, or it is malformed.
ImageDataset load_flowers102(const std::filesystem::path& path, int image_size, int channels,
                             const PictureReading& reading = {});

}  // namespace ebm
