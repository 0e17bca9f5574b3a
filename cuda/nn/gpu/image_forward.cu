#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/device/bfloat16.cuh"
#include "cuda/device/block_reduce.cuh"
#include "cuda/device/launch.cuh"
#include "cuda/device/packs.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/image_convolution.cuh"

namespace ebm {
namespace {

constexpr int kKernel = 3;
constexpr int kTaps = kKernel * kKernel;
constexpr int kMostChannels = 4;
// A block has a tile of y and takes its channels 32 at a time. A warp has a row of the tile, a
// thread 4 channels of 8 pixels: 8 threads store a pixel's 32 channels next to each other.
constexpr int kTileHeight = 4;
constexpr int kTileWidth = 32;
constexpr int kStrip = 8;
constexpr int kOutputs = 32;
constexpr int kOutputPacks = kOutputs / 4;
constexpr int kThreads = kTileHeight * kTileWidth / kStrip * kOutputPacks;

// patch[channel][row][column] of x; a strip of pixels reads whole packs of 4 columns. A warp
// gathers a channel, a thread a column of it and one of the values in the last two columns.
constexpr int kPatchHeight = kTileHeight + kKernel - 1;
constexpr int kPatchPitch = kTileWidth + 4;
constexpr int kPatchSize = kMostChannels * kPatchHeight * kPatchPitch;
constexpr int kPatchReads = kPatchHeight + 1;  // of a thread
constexpr int kWindow = kStrip + 4;
static_assert(kKernel - 1 == 2 && kTileWidth == kWarp && kTileWidth >= 2 * kPatchHeight &&
              kThreads == kWarp * kMostChannels);

// weights[channel][tap][output]. A thread gathers an output's for one channel, and the channels lie
// so that a warp puts them on different banks.
constexpr int kChannelPitch = kTaps * kOutputs + kOutputs / kMostChannels;
static_assert(kThreads == kOutputs * kMostChannels);

template <class In, class T>
struct ImageForwardArguments {
  ConvolutionShape shape;
  int y_height;
  int y_width;
  unsigned output_groups;  // of 32 channels of y
  ImagePlaces places;
  const In* x;
  const float* weight;
  const float* bias;
  Epilogue epilogue;
  bool whole_packs;  // y can be written 4 channels at a time
  T* y;
};

/// What one thread brings, which has been asked for and may not have come yet.
struct PatchValues {
  float v[kPatchReads];
};
struct TapWeights {
  float v[kTaps];
};

/// The place in the patch's channel of what a lane reads n-th.
__device__ __forceinline__ int patch_row(int n, int lane) {
  return n < kPatchHeight ? n : lane / 2;
}
__device__ __forceinline__ int patch_column(int n, int lane) {
  return n < kPatchHeight ? lane : kTileWidth + lane % 2;
}

/// Zero beyond x's borders.
template <class In, class T>
__device__ __forceinline__ PatchValues read_patch(const ImageForwardArguments<In, T>& arguments,
                                                  int image, int first_row, int first_column) {
  const ConvolutionShape& shape = arguments.shape;
  const ImagePlaces& places = arguments.places;
  const int channel = static_cast<int>(threadIdx.x / kWarp);
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  const In* const x = arguments.x + image * places.image + std::int64_t{channel} * places.channel;
  PatchValues values;
#pragma unroll
  for (int n = 0; n < kPatchReads; ++n) {
    const int row = first_row + patch_row(n, lane);
    const int column = first_column + patch_column(n, lane);
    const bool inside = channel < shape.in_channels && row >= 0 && row < shape.height &&
                        column >= 0 && column < shape.width;
    values.v[n] =
        inside ? static_cast<float>(x[std::int64_t{row * shape.width + column} * places.pixel])
               : 0.0F;
  }
  return values;
}

__device__ __forceinline__ void put_patch(const PatchValues& values, float* patch) {
  const int channel = static_cast<int>(threadIdx.x / kWarp);
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  float* const to = patch + channel * kPatchHeight * kPatchPitch;
#pragma unroll
  for (int n = 0; n < kPatchReads; ++n) {
    if (patch_row(n, lane) < kPatchHeight) {
      to[patch_row(n, lane) * kPatchPitch + patch_column(n, lane)] = values.v[n];
    }
  }
}

/// Those of outputs from `first` on, zero behind the last.
__device__ __forceinline__ TapWeights read_weights(const ConvolutionShape& shape,
                                                   const float* weight, int first) {
  const int output = first + static_cast<int>(threadIdx.x) / kMostChannels;
  const int channel = static_cast<int>(threadIdx.x) % kMostChannels;
  const bool inside = channel < shape.in_channels && output < shape.out_channels;
  const float* const from = weight + (std::int64_t{output} * shape.in_channels + channel) * kTaps;
  TapWeights weights;
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) {
    weights.v[tap] = inside ? from[tap] : 0.0F;
  }
  return weights;
}

__device__ __forceinline__ void put_weights(const TapWeights& values, float* weights) {
  const int output = static_cast<int>(threadIdx.x) / kMostChannels;
  const int channel = static_cast<int>(threadIdx.x) % kMostChannels;
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) {
    weights[channel * kChannelPitch + tap * kOutputs + output] = values.v[tap];
  }
}

/// Adds what one channel of x gives a thread's pixels. `corner` is where the first of them meets
/// the kernel's first tap.
__device__ __forceinline__ void add_channel(const float* corner, const float* weights,
                                            Floats<4> (&sums)[kStrip]) {
#pragma unroll
  for (int row = 0; row < kKernel; ++row) {
    float x[kWindow];
#pragma unroll
    for (int i = 0; i < kWindow; i += 4) {
      const Floats<4> pack = load_pack<4>(corner + row * kPatchPitch + i);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        x[i + k] = pack.v[k];
      }
    }
#pragma unroll
    for (int column = 0; column < kKernel; ++column) {
      const Floats<4> w = load_pack<4>(weights + (row * kKernel + column) * kOutputs);
#pragma unroll
      for (int pixel = 0; pixel < kStrip; ++pixel) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          sums[pixel].v[k] += x[pixel + column] * w.v[k];
        }
      }
    }
  }
}

/// Stores 4 channels, or as many as there are, of a strip's first `pixels`.
template <class In, class T>
__device__ __forceinline__ void store_strip(const ImageForwardArguments<In, T>& arguments, T* to,
                                            int pixels, int channels, Floats<4> (&sums)[kStrip]) {
  const int pixel = arguments.shape.out_channels;
  if (arguments.epilogue == Epilogue::leaky_relu) {
#pragma unroll
    for (int i = 0; i < 4 * kStrip; ++i) {
      sums[i / 4].v[i % 4] = LeakyRelu{}(sums[i / 4].v[i % 4]);
    }
  }
  if (arguments.whole_packs && arguments.epilogue != Epilogue::add) {
#pragma unroll
    for (int i = 0; i < kStrip; ++i) {
      if (i < pixels) {
        store_pack(to + std::int64_t{i} * pixel, sums[i]);
      }
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 4 * kStrip; ++i) {
    if (i / 4 < pixels && i % 4 < channels) {
      T& y = to[std::int64_t{i / 4} * pixel + i % 4];
      const float sum = sums[i / 4].v[i % 4];
      y = static_cast<T>(arguments.epilogue == Epilogue::add ? static_cast<float>(y) + sum : sum);
    }
  }
}

/// A block for each tile of each 32 channels of each image: seven on a processor, so that 800 run
/// at once on 132.
template <class In, class T>
__global__ void __launch_bounds__(kThreads, 7)
    image_forward_kernel(ImageForwardArguments<In, T> arguments) {
  auto* const patch = dynamic_shared<float>();
  float* const weights = patch + kPatchSize;
  const ConvolutionShape& shape = arguments.shape;
  const auto image = static_cast<int>(blockIdx.x / arguments.output_groups);
  const int first_output = static_cast<int>(blockIdx.x % arguments.output_groups) * kOutputs;
  const int first_row = static_cast<int>(blockIdx.z) * kTileHeight;
  const int first_column = static_cast<int>(blockIdx.y) * kTileWidth;
  const TapWeights taps = read_weights(shape, arguments.weight, first_output);
  put_patch(read_patch(arguments, image, first_row - shape.padding, first_column - shape.padding),
            patch);
  put_weights(taps, weights);

  const int thread = static_cast<int>(threadIdx.x);
  const int pack = thread % kOutputPacks * 4;  // its first channel
  const int strip = thread / kOutputPacks;
  const int tile_row = strip / (kTileWidth / kStrip);
  const int tile_column = strip % (kTileWidth / kStrip) * kStrip;
  const int output = first_output + pack;
  Floats<4> bias;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    bias.v[k] = output + k < shape.out_channels ? arguments.bias[output + k] : 0.0F;
  }
  Floats<4> sums[kStrip];
#pragma unroll
  for (Floats<4>& of_pixel : sums) {
    of_pixel = bias;
  }
  __syncthreads();
#pragma unroll 1
  for (int channel = 0; channel < shape.in_channels; ++channel) {
    add_channel(patch + (channel * kPatchHeight + tile_row) * kPatchPitch + tile_column,
                weights + channel * kChannelPitch + pack, sums);
  }
  const int row = first_row + tile_row;
  const int column = first_column + tile_column;
  if (row < arguments.y_height && output < shape.out_channels) {
    const std::int64_t pixel =
        (std::int64_t{image} * arguments.y_height + row) * arguments.y_width + column;
    store_strip(arguments, arguments.y + pixel * shape.out_channels + output,
                arguments.y_width - column, shape.out_channels - output, sums);
  }
}

}  // namespace

template <class In, class T>
void image_forward(const CudaStream& stream, const ConvolutionShape& shape, ImageLayout layout,
                   const In* x, const float* weight, const float* bias, Epilogue epilogue, T* y) {
  const int height = shape.out_height();
  const int width = shape.out_width();
  if (shape.images == 0 || height <= 0 || width <= 0) {
    return;
  }
  const auto output_groups = static_cast<unsigned>(ceil_div(shape.out_channels, kOutputs));
  const ImageForwardArguments<In, T> arguments{
      .shape = shape,
      .y_height = height,
      .y_width = width,
      .output_groups = output_groups,
      .places = ImagePlaces(layout, shape.in_channels, shape.height * shape.width),
      .x = x,
      .weight = weight,
      .bias = bias,
      .epilogue = epilogue,
      .whole_packs = shape.out_channels % 4 == 0 && aligned_to_packs(4, y),
      .y = y};
  // Images first: the other two dimensions of a grid end at 65,535.
  const dim3 blocks(static_cast<unsigned>(shape.images) * output_groups,
                    static_cast<unsigned>(ceil_div(width, kTileWidth)),
                    static_cast<unsigned>(ceil_div(height, kTileHeight)));
  launch_kernel(stream, blocks, kThreads,
                sizeof(float) * (kPatchSize + kMostChannels * kChannelPitch),
                image_forward_kernel<In, T>, arguments);
}

template void image_forward(const CudaStream&, const ConvolutionShape&, ImageLayout, const float*,
                            const float*, const float*, Epilogue, float*);
template void image_forward(const CudaStream&, const ConvolutionShape&, ImageLayout, const float*,
                            const float*, const float*, Epilogue, Bfloat16*);
template void image_forward(const CudaStream&, const ConvolutionShape&, ImageLayout,
                            const Bfloat16*, const float*, const float*, Epilogue, Bfloat16*);

}  // namespace ebm
