// The photographs of CIFAR-10: https://www.cs.toronto.edu/~kriz/cifar.html
#pragma once

#include <filesystem>

#include "host/config/picture_choices.h"
#include "host/data/image_dataset.h"
#include "host/data/prepare_images.h"

namespace ebm {

/// The training images (50,000 in the published set) in the files' order, prepared as
/// prepare_images() does: data_batch_1.bin … data_batch_5.bin in `folder` or in
/// cifar-10-batches-bin in it, or data_batch_1 … data_batch_5, as torchvision unpacks them, in
/// `folder` or in cifar-10-batches-py in it. Or the test images (10,000), test_batch.bin or
/// test_batch in the same places.
///
/// Throws InputFileError naming the file that is missing or malformed.
ImageDataset load_cifar10(const std::filesystem::path& folder, int image_size, int channels,
                          DataSplit split = DataSplit::train, const LoadProgress& progress = {});

/// The same of one file: a binary one is records of a
/// label from 0 to 9 and 3 × 32 × 32 pixel levels; of others, see read_cifar10_pickle().
ImageDataset load_cifar10_batch(const std::filesystem::path& file, int image_size, int channels);

}  // namespace ebm
