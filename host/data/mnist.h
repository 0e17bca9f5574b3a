// The handwritten digits of MNIST.
#pragma once

#include <filesystem>

#include "host/config/picture_choices.h"
#include "host/data/image_dataset.h"

namespace ebm {

/// The training digits (60,000 in the published set) from the file train-images-idx3-ubyte, or the
/// test digits (10,000) from t10k-images-idx3-ubyte, plain or .gz, in `folder`, or in raw or
/// MNIST/raw in it, where torchvision leaves them; see load_idx_images().
///
/// Throws InputFileError when there is no such file (naming those looked for) or it is malformed.
ImageDataset load_mnist(const std::filesystem::path& folder, int image_size, int channels,
                        DataSplit split = DataSplit::train);

/// The images of an IDX file in the file's order, each prepared as prepare_image() does: image_size
/// square, in one channel or repeated in three. Throws InputFileError when it is malformed;
/// std::invalid_argument unless image_size is positive and channels is 1 or 3.
ImageDataset load_idx_images(const std::filesystem::path& file, int image_size, int channels);

}  // namespace ebm
