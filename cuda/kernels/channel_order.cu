#include "cuda/kernels/channel_order.cuh"

#ifdef __CUDACC__
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"
#endif

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

template <class In, class Out>
struct ChannelsLastBody {
  std::int64_t channels;
  std::uint32_t pixels;
  const In* in;
  Out* out;

  /// `row` counts the pixels of all images.
  EBM_HOST_DEVICE void operator()(std::int64_t row, std::int64_t channel) const {
    const std::int64_t image = static_cast<std::uint32_t>(row) / pixels;
    const std::int64_t pixel = static_cast<std::uint32_t>(row) % pixels;
    const In value = in[(image * channels + channel) * pixels + pixel];
    out[row * channels + channel] = static_cast<Out>(static_cast<float>(value));
  }
};

}  // namespace

template <class In, class Out>
void to_channels_last(const CudaStream& stream, std::int64_t images, std::int64_t channels,
                      std::int64_t pixels, const In* in, Out* out) {
  for_each_cell(stream, images * pixels, channels,
                ChannelsLastBody<In, Out>{channels, static_cast<std::uint32_t>(pixels), in, out});
}

template <class In, class Out>
void to_channel_major(const CudaStream& stream, std::int64_t images, std::int64_t channels,
                      std::int64_t pixels, const In* in, Out* out) {
  to_channels_last(stream, images, pixels, channels, in, out);
}

template void to_channels_last(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const float*, float*);
template void to_channels_last(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const float*, Bfloat16*);
template void to_channels_last(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const Bfloat16*, float*);
template void to_channels_last(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const Bfloat16*, Bfloat16*);
template void to_channel_major(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const float*, float*);
template void to_channel_major(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const float*, Bfloat16*);
template void to_channel_major(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const Bfloat16*, float*);
template void to_channel_major(const CudaStream&, std::int64_t, std::int64_t, std::int64_t,
                               const Bfloat16*, Bfloat16*);
#endif

}  // namespace ebm
