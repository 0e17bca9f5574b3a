// A data set of images, prepared.
#pragma once

#include <vector>

namespace ebm {

/// All images of a data set, in the range [−1, 1].
struct ImageDataset {
  int count = 0;
  int channels = 0;
  int height = 0;
  int width = 0;
  std::vector<float> images;  ///< count × channels × height × width
  int left_out = 0;           ///< pictures that could not be read
};

}  // namespace ebm
