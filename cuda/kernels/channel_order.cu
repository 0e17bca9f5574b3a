#include "cuda/kernels/channel_order.cuh"

namespace ebm {

void to_channels_last(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                      const float* in, float* out) {
  const std::int64_t size = channels * pixels;
  for (std::int64_t image = 0; image < images; ++image) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t p = 0; p < pixels; ++p) {
        out[image * size + p * channels + c] = in[image * size + c * pixels + p];
      }
    }
  }
}

void to_channel_major(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                      const float* in, float* out) {
  to_channels_last(images, pixels, channels, in, out);
}

}  // namespace ebm
