// The one way from a configuration to its training images.
#pragma once

#include "host/config/config.h"
#include "host/data/image_dataset.h"
#include "host/data/prepare_images.h"

namespace ebm {

/// All images of the data set, or of its part, that `data` describes, prepared, the same for any
/// number of threads. `note` is told of what was passed over or left out. Throws InputFileError
/// when they are missing or malformed; std::invalid_argument for a toy density, which has none.
ImageDataset load_images(const DataConfig& data, const LoadProgress& progress = {},
                         const LoadNote& note = {});

}  // namespace ebm
