// How a stack of images lies in memory.
#pragma once

#include <cstdint>

#include "cuda/base/host_device.cuh"

namespace ebm {

enum class ImageLayout {
  channel_major,  ///< images × channels × pixels, as states
  channels_last,  ///< images × pixels × channels, as activations
};

/// Places of a stack's values.
struct ImagePlaces {
  std::int64_t image;  ///< from one image to the next
  int channel;         ///< from one channel to the next
  int pixel;           ///< from one pixel to the next

  ImagePlaces(ImageLayout layout, int channels, int pixels)
      : image(std::int64_t{channels} * pixels),
        channel(layout == ImageLayout::channel_major ? pixels : 1),
        pixel(layout == ImageLayout::channel_major ? 1 : channels) {}
};

}  // namespace ebm
