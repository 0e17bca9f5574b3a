// Between channel-major images (PyTorch's, and how states are kept) and channels-last ones (how the
// executors compute).
#pragma once

#include <cstdint>

namespace ebm {

/// out[image][pixel][channel] = in[image][channel][pixel].
void to_channels_last(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                      const float* in, float* out);

/// out[image][channel][pixel] = in[image][pixel][channel].
void to_channel_major(std::int64_t images, std::int64_t channels, std::int64_t pixels,
                      const float* in, float* out);

}  // namespace ebm
