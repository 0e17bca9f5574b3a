// avg_pool: the mean of every kernel × kernel pixels, which do not overlap.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kAvgPoolLayer;
extern const OperationType kAvgPool;

/// Images of pixels × channels; height and width are the output's.
struct AvgPoolShape {
  std::int64_t images = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::int64_t kernel = 1;

  /// Where channel 0 of a window's pixel (i, j) is in the input; `pixel` counts the outputs of all
  /// images.
  EBM_HOST_DEVICE std::int64_t input(std::int64_t pixel, std::int64_t i, std::int64_t j) const {
    const std::int64_t row = pixel / width;  // of all images
    const std::int64_t column = pixel % width;
    return ((row * kernel + i) * width * kernel + column * kernel + j) * channels;
  }
  EBM_HOST_DEVICE float share() const { return 1.0F / static_cast<float>(kernel * kernel); }
  std::int64_t outputs() const { return images * height * width; }
};

}  // namespace ebm
