// From an 8-bit picture of any size to a state of the model.
#pragma once

#include <cstdint>
#include <span>

namespace ebm {

/// An 8-bit picture, not owned: `pixels` is height × width × channels, the first row at the top.
struct PixelView {
  std::span<const std::uint8_t> pixels;
  int height = 0;
  int width = 0;
  int channels = 0;
};

/// Prepares a picture as Pillow and torchvision do, level for level: resizes it so that the shorter
/// side is `image_size` and the longer ⌊image_size·long/short⌋ (bilinear, antialiased, to 8 bits),
/// crops the centre, and scales levels 0…255 to −1…1. Columns are resized before rows, as in Pillow
/// 11; the latest Pillow takes tall pictures in the other order, which moves some levels by one.
///
/// `prepared`, channels × image_size × image_size, is filled. Throws std::invalid_argument when a
/// size is not positive or does not match.
void prepare_image(const PixelView& image, int image_size, std::span<float> prepared);

}  // namespace ebm
