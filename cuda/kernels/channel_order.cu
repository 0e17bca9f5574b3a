#include "cuda/kernels/channel_order.cuh"

#include "cuda/device/launch.cuh"

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

#ifdef __CUDACC__
namespace {

/// One value of channels-last output.
struct ChannelsLastBody {
  std::int64_t channels;
  std::int64_t pixels;
  const float* in;
  float* out;

  EBM_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t channel = i % channels;
    const std::int64_t pixel = i / channels % pixels;
    const std::int64_t image = i / channels / pixels;
    out[i] = in[(image * channels + channel) * pixels + pixel];
  }
};

}  // namespace

void to_channels_last(const CudaStream& stream, std::int64_t images, std::int64_t channels,
                      std::int64_t pixels, const float* in, float* out) {
  for_each_index(stream, images * channels * pixels, ChannelsLastBody{channels, pixels, in, out});
}

void to_channel_major(const CudaStream& stream, std::int64_t images, std::int64_t channels,
                      std::int64_t pixels, const float* in, float* out) {
  to_channels_last(stream, images, pixels, channels, in, out);
}
#endif

}  // namespace ebm
