// Loading images, with the log told of it.
#pragma once

#include "host/config/config.h"
#include "host/data/image_dataset.h"
#include "host/training/run_log.h"

namespace ebm {

/// load_images(), its progress on a live log and its notes in any.
ImageDataset load_images_logged(const DataConfig& data, RunLog& log);

}  // namespace ebm
