#include "cuda/nn/gpu/image_gradient.cuh"

#include <type_traits>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

constexpr int kKernel = 3;
constexpr int kTaps = kKernel * kKernel;
// A block has a tile of dx and gathers the patch of dy that it depends on, 16 of dy's channels at a
// time. Four threads share a strip of 4 pixels, and have 4 of the 16 channels each.
constexpr int kTileHeight = 8;
constexpr int kTileWidth = 32;
constexpr int kStrip = 4;
constexpr int kSharers = 4;
constexpr int kThreads = kTileHeight * kTileWidth / kStrip * kSharers;
constexpr int kOutputs = 4 * kSharers;
constexpr int kPatchHeight = kTileHeight + kKernel - 1;
constexpr int kPatchWidth = kTileWidth + kKernel - 1;
constexpr int kPatchPitch = kOutputs + 4;  // neighbouring strips on different banks
constexpr int kPatchSize = kPatchHeight * kPatchWidth * kPatchPitch;

template <class In, class T>
struct ImageGradientArguments {
  ConvolutionShape shape;
  ImagePlaces places;
  bool whole_packs;  // dy and y can be read 4 channels at a time
  const T* dy;
  const T* y;
  const float* weight;
  const In* x;
  In* dx;
};

/// dy ∘ LeakyReLU'(y) of 4 channels, or of as many as there are.
template <class In, class T>
__device__ __forceinline__ Floats<4> output_gradient(const ImageGradientArguments<In, T>& arguments,
                                                     std::int64_t at, int channels) {
  Floats<4> gradient{};
  if (arguments.whole_packs) {
    gradient = load_pack<4>(arguments.dy + at);
    if (arguments.y != nullptr) {
      const Floats<4> outputs = load_pack<4>(arguments.y + at);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        gradient.v[k] = LeakyRelu{}.gradient(outputs.v[k], gradient.v[k]);
      }
    }
    return gradient;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (k < channels) {
      const auto dy = static_cast<float>(arguments.dy[at + k]);
      gradient.v[k] = arguments.y == nullptr
                          ? dy
                          : LeakyRelu{}.gradient(static_cast<float>(arguments.y[at + k]), dy);
    }
  }
  return gradient;
}

/// patch[row][column][channel] of the output channels from `first`, zero beyond dy's borders.
template <class In, class T>
__device__ void gather_patch(const ImageGradientArguments<In, T>& arguments, int first_row,
                             int first_column, int first, float* patch) {
  const ConvolutionShape& shape = arguments.shape;
  const int height = shape.out_height();
  const int width = shape.out_width();
  const std::int64_t image = std::int64_t{blockIdx.x} * height * width;
  for (int i = static_cast<int>(threadIdx.x); i < kPatchHeight * kPatchWidth * kSharers;
       i += kThreads) {
    const int place = i / kSharers;
    const int row = first_row + place / kPatchWidth;
    const int column = first_column + place % kPatchWidth;
    const int channel = first + i % kSharers * 4;
    Floats<4> gradient{};
    if (row >= 0 && row < height && column >= 0 && column < width && channel < shape.out_channels) {
      const std::int64_t pixel = image + row * width + column;
      gradient = output_gradient(arguments, pixel * shape.out_channels + channel,
                                 shape.out_channels - channel);
    }
    store_pack(patch + place * kPatchPitch + i % kSharers * 4, gradient);
  }
}

/// Three channels' weights lie as four's do, for packs of 16 bytes.
template <int kChannels>
constexpr int kWeightPack = kChannels == 1 ? 1 : 4;

/// weights[tap][k][sharer][channel of x]: those of output channel first + 4·sharer + k. The kernel
/// is turned by 180 degrees.
template <int kChannels>
__device__ void gather_weights(const ConvolutionShape& shape, const float* weight, int first,
                               float* weights) {
  constexpr int kPack = kWeightPack<kChannels>;
  constexpr int kOfTap = kOutputs * kPack;
  for (int i = static_cast<int>(threadIdx.x); i < kTaps * kOfTap; i += kThreads) {
    const int tap = kTaps - 1 - i / kOfTap;
    const int channel = i % kPack;
    const int place = i % kOfTap / kPack;
    const int output = first + place % kSharers * 4 + place / kSharers;
    const bool inside = channel < shape.in_channels && output < shape.out_channels;
    weights[i] =
        inside ? weight[(std::int64_t{output} * shape.in_channels + channel) * kTaps + tap] : 0.0F;
  }
}

template <int kChannels>
using StripSums = Floats<kChannels>[kStrip];

/// Adds what one thread's 4 channels of dy contribute to its strip. `corner` is where the strip's
/// first pixel meets the kernel's first tap.
template <int kChannels>
__device__ __forceinline__ void add_contributions(const float* corner, const float* weights,
                                                  StripSums<kChannels>& sums) {
  constexpr int kPack = kWeightPack<kChannels>;
#pragma unroll
  for (int row = 0; row < kKernel; ++row) {
    Floats<4> gradients[kStrip + kKernel - 1];
#pragma unroll
    for (int i = 0; i < kStrip + kKernel - 1; ++i) {
      gradients[i] = load_pack<4>(corner + (row * kPatchWidth + i) * kPatchPitch);
    }
#pragma unroll
    for (int i = 0; i < kKernel * 4; ++i) {
      const int column = i / 4;
      const int k = i % 4;
      const Floats<kPack> w =
          load_pack<kPack>(weights + ((row * kKernel + column) * 4 + k) * kSharers * kPack);
#pragma unroll
      for (int pixel = 0; pixel < kStrip; ++pixel) {
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
          sums[pixel].v[c] += gradients[pixel + column].v[k] * w.v[c];
        }
      }
    }
  }
}

/// Adds up the sharers' sums of a strip; each of them stores one of its pixels.
template <int kChannels, class In, class T>
__device__ __forceinline__ void store_strip(const ImageGradientArguments<In, T>& arguments, int row,
                                            int first_column, StripSums<kChannels>& sums) {
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  Floats<kChannels> mine{};
#pragma unroll
  for (int pixel = 0; pixel < kStrip; ++pixel) {
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      float sum = sums[pixel].v[c];
      sum += __shfl_xor_sync(kWholeWarp, sum, 1);
      sum += __shfl_xor_sync(kWholeWarp, sum, 2);
      mine.v[c] = pixel == sharer ? sum : mine.v[c];
    }
  }
  const ConvolutionShape& shape = arguments.shape;
  const int column = first_column + sharer;
  if (row >= shape.height || column >= shape.width) {
    return;
  }
  const ImagePlaces& places = arguments.places;
  const std::int64_t pixel =
      blockIdx.x * places.image + std::int64_t{row * shape.width + column} * places.pixel;
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
    if (c < shape.in_channels) {
      const std::int64_t at = pixel + std::int64_t{c} * places.channel;
      const float dx = arguments.x == nullptr
                           ? mine.v[c]
                           : LeakyRelu{}.gradient(static_cast<float>(arguments.x[at]), mine.v[c]);
      arguments.dx[at] = static_cast<In>(dx);
    }
  }
}

/// A block for each tile of each image. kChannels is 1, 3 for 2 or 3 channels, or 4.
template <int kChannels, class In, class T>
__global__ void __launch_bounds__(kThreads)
    image_gradient_kernel(ImageGradientArguments<In, T> arguments) {
  auto* const patch = dynamic_shared<float>();
  float* const weights = patch + kPatchSize;
  const int thread = static_cast<int>(threadIdx.x);
  const int sharer = thread % kSharers;
  const int strip = thread / kSharers;
  const int row = strip / (kTileWidth / kStrip);
  const int column = strip % (kTileWidth / kStrip) * kStrip;
  const int first_row = static_cast<int>(blockIdx.z) * kTileHeight;
  const int first_column = static_cast<int>(blockIdx.y) * kTileWidth;
  const int reach = arguments.shape.padding - (kKernel - 1);  // to the first dy that dx depends on

  StripSums<kChannels> sums = {};
  for (int first = 0; first < arguments.shape.out_channels; first += kOutputs) {
    __syncthreads();  // the last channels have been used
    gather_patch(arguments, first_row + reach, first_column + reach, first, patch);
    gather_weights<kChannels>(arguments.shape, arguments.weight, first, weights);
    __syncthreads();
    add_contributions<kChannels>(patch + (row * kPatchWidth + column) * kPatchPitch + sharer * 4,
                                 weights + sharer * kWeightPack<kChannels>, sums);
  }
  store_strip<kChannels>(arguments, first_row + row, first_column + column, sums);
}

}  // namespace

template <class In, class T>
void image_gradient(const CudaStream& stream, const ConvolutionShape& shape, ImageLayout layout,
                    const T* dy, const T* y, const float* weight, const In* x, In* dx) {
  if (shape.images == 0) {
    return;
  }
  const ImageGradientArguments<In, T> arguments{
      .shape = shape,
      .places = ImagePlaces(layout, shape.in_channels, shape.height * shape.width),
      .whole_packs = shape.out_channels % 4 == 0 && aligned_to_packs(4, dy, y),
      .dy = dy,
      .y = y,
      .weight = weight,
      .x = x,
      .dx = dx};
  // Images first: the other two dimensions of a grid end at 65,535.
  const dim3 blocks(static_cast<unsigned>(shape.images),
                    static_cast<unsigned>((shape.width + kTileWidth - 1) / kTileWidth),
                    static_cast<unsigned>((shape.height + kTileHeight - 1) / kTileHeight));
  const auto launch = [&](auto channels) {
    constexpr int kChannels = decltype(channels)::value;
    const std::size_t shared =
        sizeof(float) * (kPatchSize + kTaps * kOutputs * kWeightPack<kChannels>);
    launch_kernel(stream, blocks, kThreads, shared, image_gradient_kernel<kChannels, In, T>,
                  arguments);
  };
  if (shape.in_channels == 1) {
    launch(std::integral_constant<int, 1>{});
  } else if (shape.in_channels <= 3) {
    launch(std::integral_constant<int, 3>{});
  } else {
    launch(std::integral_constant<int, 4>{});
  }
}

template void image_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout, const float*,
                             const float*, const float*, const float*, float*);
template void image_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                             const Bfloat16*, const Bfloat16*, const float*, const float*, float*);
template void image_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                             const Bfloat16*, const Bfloat16*, const float*, const Bfloat16*,
                             Bfloat16*);

}  // namespace ebm
