// Between channel-major images (PyTorch's, and how states are kept) and channels-last ones (how the
// executors compute). A convolution's weights are such images, one for each of its outputs: (out,
// in, kh·kw) channel-major, (out, kh·kw, in) channels last; and so are those of a linear layer
// behind a flatten, (out, channels, pixels) and (out, pixels, channels).
#pragma once

#include <cstdint>

namespace ebm {

#ifdef EBM_CUDA
class CudaStream;
#endif

/// out[image][pixel][channel] = in[image][channel][pixel].
void to_channels_last(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                      const float* in, float* out);

/// out[image][channel][pixel] = in[image][pixel][channel].
void to_channel_major(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                      const float* in, float* out);

#ifdef EBM_CUDA
/// The same, enqueued on a stream; the pointers are the device's. In and Out are float or Bfloat16.
template <class In, class Out>
void to_channels_last(const CudaStream& stream, std::int64_t images, std::int64_t channels,
                      std::int64_t pixels, const In* in, Out* out);
template <class In, class Out>
void to_channel_major(const CudaStream& stream, std::int64_t images, std::int64_t channels,
                      std::int64_t pixels, const In* in, Out* out);
#endif

}  // namespace ebm
