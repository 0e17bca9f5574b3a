// The photographs of CIFAR-10, in its binary version: https://www.cs.toronto.edu/~kriz/cifar.html
#pragma once

#include <filesystem>

#include "host/data/image_dataset.h"
#include "host/data/prepare_images.h"

namespace ebm {

/// The training images (50,000 in the published set) of data_batch_1.bin … data_batch_5.bin in
/// `folder`, or in cifar-10-batches-bin in it, in the files' order, prepared as prepare_images()
/// does. A file is records of a label from 0 to 9 and 3 × 32 × 32 pixel levels.
///
/// Throws InputFileError naming the file that is missing, is not a whole number of records, or has
/// another label.
ImageDataset load_cifar10(const std::filesystem::path& folder, int image_size, int channels,
                          const LoadProgress& progress = {});

}  // namespace ebm
