#include "cuda/nn/gpu/image_convolution.cuh"

#include <type_traits>

#include "cuda/base/ceil_div.h"
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
// time. A warp has 4 of these channels and all of the tile, a thread a strip of 8 pixels: for 864
// products (3 channels) it reads 30 packs of dy and 27 of weights, and these are one for a warp.
constexpr int kTileHeight = 8;
constexpr int kTileWidth = 32;
constexpr int kTilePixels = kTileHeight * kTileWidth;
constexpr int kStrip = 8;
constexpr int kStrips = kTileWidth / kStrip;  // of a row
constexpr int kSharers = 4;                   // warps, which share the 16 channels
constexpr int kThreads = kTilePixels / kStrip * kSharers;
constexpr int kOutputs = 4 * kSharers;
constexpr int kPatchHeight = kTileHeight + kKernel - 1;
constexpr int kPatchWidth = kTileWidth + kKernel - 1;
static_assert(kTilePixels / kStrip == kWarp);

// patch[sharer][row][column]: packs of 16 bytes. Behind each strip's columns one is left out, and
// rows and sharers have such pitches that the 8 packs that are read at a time (of 4 strips in 2
// rows) lie on different banks, and the 8 that are written (of 4 sharers in 2 columns), too.
constexpr int kRowPitch = 44;
constexpr int kSharerPitch = kPatchHeight * kRowPitch + 2;
constexpr int kPatchSize = 4 * kSharers * kSharerPitch;  // floats
EBM_HOST_DEVICE constexpr int patch_column(int column) { return column + column / kStrip; }
static_assert(patch_column(kPatchWidth - 1) < kRowPitch);
static_assert(kRowPitch % 8 == kStrips && kSharerPitch % 8 == 2);

// What a thread gathers: a pack in each of the patch's rows, and one of its last two columns. The
// first few are read while the channels before them are summed.
constexpr int kGathers = kPatchHeight + 1;
constexpr int kAhead = 3;
static_assert(kThreads == kSharers * kTileWidth && kPatchWidth - kTileWidth == 2 &&
              kTileWidth >= 2 * kPatchHeight);

template <class In, class T>
struct ImageGradientArguments {
  ConvolutionShape shape;
  int dy_height;
  int dy_width;
  ImagePlaces places;
  bool whole_packs;  // dy and y can be read 4 channels at a time
  const T* dy;
  const T* y;
  const float* weight;
  const In* x;
  In* dx;
};

/// Some of a thread's gathers, which have been asked for and may not have come yet.
template <class T, int kCount>
struct Reads {
  Pack<T, 4> dy[kCount];
  Pack<T, 4> y[kCount];
};

/// One thread's part in gathering the patches of a tile, 16 output channels after the other. What
/// it knows changes from patch to patch, so that the compiler keeps no more than this in registers.
template <class In, class T>
struct PatchGatherer {
  const ImageGradientArguments<In, T>& arguments;
  int sharer = static_cast<int>(threadIdx.x) % kSharers;
  int place = static_cast<int>(threadIdx.x) / kSharers;
  int channels;              // of dy, from this thread's first
  unsigned inside = 0;       // which gathers are within dy: a bit for each
  std::int64_t first_place;  // in dy, of the gather in the patch's first row
  std::int64_t last_place;   // of that in its last columns

  __device__ __forceinline__ PatchGatherer(const ImageGradientArguments<In, T>& of, int first_row,
                                           int first_column)
      : arguments(of), channels(of.shape.out_channels - 4 * sharer) {
    const int height = arguments.dy_height;
    const int width = arguments.dy_width;
#pragma unroll
    for (int i = 0; i < kGathers; ++i) {
      const int dy_row = first_row + row(i);
      const int dy_column = first_column + column(i);
      const bool is_inside = channels > 0 && row(i) < kPatchHeight && dy_row >= 0 &&
                             dy_row < height && dy_column >= 0 && dy_column < width;
      inside |= is_inside ? 1U << i : 0U;
    }
    const std::int64_t image = std::int64_t{blockIdx.x} * height * width;
    const auto place_of = [&](int gather) {
      const int pixel = (first_row + row(gather)) * width + first_column + column(gather);
      return (image + pixel) * arguments.shape.out_channels + 4 * sharer;
    };
    first_place = place_of(0);
    last_place = place_of(kPatchHeight);
  }

  /// To the next output channels.
  __device__ __forceinline__ void advance() {
    channels -= kOutputs;
    inside = channels > 0 ? inside : 0;
    first_place += kOutputs;
    last_place += kOutputs;
  }

  __device__ __forceinline__ int row(int gather) const {
    return gather < kPatchHeight ? gather : place / 2;
  }
  __device__ __forceinline__ int column(int gather) const {
    return gather < kPatchHeight ? place : kTileWidth + place % 2;
  }
  __device__ __forceinline__ bool is_inside(int gather) const {
    return (inside >> gather & 1U) != 0;
  }
  __device__ __forceinline__ std::int64_t source(int gather) const {
    const std::int64_t row = std::int64_t{arguments.dy_width} * arguments.shape.out_channels;
    return gather < kPatchHeight ? first_place + gather * row : last_place;
  }

  /// Asks for gathers kFirst, kFirst + 1, …, of whole packs; zero beyond dy's borders.
  template <int kFirst, int kCount>
  __device__ __forceinline__ void read(Reads<T, kCount>& reads) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      reads.dy[i] = {};
      reads.y[i] = {};
      if (is_inside(kFirst + i)) {
        const std::int64_t at = source(kFirst + i);
        reads.dy[i] = *reinterpret_cast<const Pack<T, 4>*>(arguments.dy + at);
        if (arguments.y != nullptr) {
          reads.y[i] = *reinterpret_cast<const Pack<T, 4>*>(arguments.y + at);
        }
      }
    }
  }

  /// Puts dy ∘ LeakyReLU'(y) into the patch.
  template <int kFirst, int kCount>
  __device__ __forceinline__ void put(const Reads<T, kCount>& reads, float* patch) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      Floats<4> gradient;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        gradient.v[k] = masked(reads.dy[i].v[k], reads.y[i].v[k]);
      }
      put_pack(kFirst + i, gradient, patch);
    }
  }

  /// Both, for channels that are not whole packs.
  __device__ __forceinline__ void read_and_put(float* patch) const {
#pragma unroll 1
    for (int i = 0; i < kGathers; ++i) {
      const std::int64_t at = source(i);
      Floats<4> gradient{};
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (k < channels && is_inside(i)) {
          gradient.v[k] =
              masked(arguments.dy[at + k], arguments.y == nullptr ? T{} : arguments.y[at + k]);
        }
      }
      put_pack(i, gradient, patch);
    }
  }

  __device__ __forceinline__ float masked(T dy, T y) const {
    const auto gradient = static_cast<float>(dy);
    return arguments.y == nullptr ? gradient
                                  : LeakyRelu{}.gradient(static_cast<float>(y), gradient);
  }
  __device__ __forceinline__ void put_pack(int gather, const Floats<4>& gradient,
                                           float* patch) const {
    if (row(gather) < kPatchHeight) {
      store_pack(patch + 4 * (sharer * kSharerPitch + row(gather) * kRowPitch +
                              patch_column(column(gather))),
                 gradient);
    }
  }
};

/// weights[sharer][tap][k][channel of x]: those of output channel first + 4·sharer + k. The kernel
/// is turned by 180 degrees.
template <int kChannels>
constexpr int kWeightsOfSharer = kTaps * 4 * kChannels;

template <int kChannels>
__device__ __forceinline__ void gather_weights(const ConvolutionShape& shape, const float* weight,
                                               int first, float* weights) {
  constexpr int kOfOutput = kChannels * kTaps;
  constexpr int kThreadsOfOutput = kThreads / kOutputs;
  constexpr int kCount = ceil_div(kOfOutput, kThreadsOfOutput);
  const int output = static_cast<int>(threadIdx.x) / kThreadsOfOutput;
  const int begin = static_cast<int>(threadIdx.x) % kThreadsOfOutput * kCount;
  const int inside = first + output < shape.out_channels ? shape.in_channels * kTaps : 0;
  const float* const from =
      weight + std::int64_t{first + output} * shape.in_channels * kTaps + begin;
  float values[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values[i] = begin + i < inside ? from[i] : 0.0F;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const int channel = (begin + i) / kTaps;
    const int place = kTaps - 1 - (begin + i) % kTaps;
    if (channel < kChannels) {
      weights[((output / 4 * kTaps + place) * 4 + output % 4) * kChannels + channel] = values[i];
    }
  }
}

/// Sums of one thread's strip.
template <int kChannels>
using StripSums = float[kChannels][kStrip];

/// Adds what one thread's 4 channels of dy contribute to its strip. `corner` is where the strip's
/// first pixel meets the kernel's first tap.
template <int kChannels>
__device__ __forceinline__ void add_contributions(const float* corner, const float* weights,
                                                  StripSums<kChannels>& sums) {
#pragma unroll
  for (int row = 0; row < kKernel; ++row) {
    Floats<4> gradients[kStrip + kKernel - 1];
#pragma unroll
    for (int i = 0; i < kStrip + kKernel - 1; ++i) {
      gradients[i] = load_pack<4>(corner + 4 * (row * kRowPitch + patch_column(i)));
    }
#pragma unroll
    for (int column = 0; column < kKernel; ++column) {
      const float* const of_tap = weights + (row * kKernel + column) * 4 * kChannels;
      Floats<4> w[kChannels];
#pragma unroll
      for (int i = 0; i < kChannels; ++i) {
        w[i] = load_pack<4>(of_tap + 4 * i);
      }
#pragma unroll
      for (int i = 0; i < 4 * kChannels; ++i) {
        const int k = i / kChannels;
        const int c = i % kChannels;
#pragma unroll
        for (int pixel = 0; pixel < kStrip; ++pixel) {
          sums[c][pixel] += gradients[pixel + column].v[k] * w[i / 4].v[i % 4];
        }
      }
    }
  }
}

/// Adds up the sharers' sums, which meet in `meeting`, and stores the tile.
template <int kChannels, class In, class T>
__device__ __forceinline__ void store_tile(const ImageGradientArguments<In, T>& arguments,
                                           int first_row, int first_column,
                                           const StripSums<kChannels>& sums, float* meeting) {
  constexpr int kTile = kChannels * kTilePixels;
  constexpr int kValues = kTile / kThreads;  // of a thread
  const int thread = static_cast<int>(threadIdx.x);
  const int strip = thread % static_cast<int>(kWarp);
  float* const mine = meeting + thread / static_cast<int>(kWarp) * kTile + strip * kStrip;
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
#pragma unroll
    for (int i = 0; i < kStrip; i += 4) {
      store_pack(mine + c * kTilePixels + i,
                 Floats<4>{sums[c][i], sums[c][i + 1], sums[c][i + 2], sums[c][i + 3]});
    }
  }
  __syncthreads();
  float values[kValues];
#pragma unroll
  for (int n = 0; n < kValues; ++n) {
    values[n] = meeting[n * kThreads + thread];
#pragma unroll
    for (int sharer = 1; sharer < kSharers; ++sharer) {
      values[n] += meeting[sharer * kTile + n * kThreads + thread];
    }
  }
  const ConvolutionShape& shape = arguments.shape;
  const ImagePlaces& places = arguments.places;
  const int column = first_column + thread % kTileWidth;
#pragma unroll
  for (int n = 0; n < kValues; ++n) {
    const int c = n * kThreads / kTilePixels;
    const int row = first_row + (n * kThreads % kTilePixels + thread) / kTileWidth;
    if (row < shape.height && column < shape.width && c < shape.in_channels) {
      const std::int64_t at = blockIdx.x * places.image +
                              std::int64_t{row * shape.width + column} * places.pixel +
                              std::int64_t{c} * places.channel;
      arguments.dx[at] = static_cast<In>(
          arguments.x == nullptr
              ? values[n]
              : LeakyRelu{}.gradient(static_cast<float>(arguments.x[at]), values[n]));
    }
  }
}

/// A block for each tile of each image. kChannels is 1, 3 for 2 or 3 channels, or 4.
template <int kChannels, class In, class T>
__global__ void __launch_bounds__(kThreads, kChannels == 4 ? 3 : 4)
    image_gradient_kernel(ImageGradientArguments<In, T> arguments) {
  static_assert(kSharers * kChannels * kTilePixels <= kPatchSize);  // the sums meet in the patch
  auto* const patch = dynamic_shared<float>();
  float* const weights = patch + kPatchSize;
  const int sharer = static_cast<int>(threadIdx.x / kWarp);
  const int strip = static_cast<int>(threadIdx.x % kWarp);
  const float* const corner = patch + 4 * (sharer * kSharerPitch + strip / kStrips * kRowPitch +
                                           patch_column(strip % kStrips * kStrip));
  const int first_row = static_cast<int>(blockIdx.z) * kTileHeight;
  const int first_column = static_cast<int>(blockIdx.y) * kTileWidth;
  const int reach = arguments.shape.padding - (kKernel - 1);  // to the first dy that dx depends on
  PatchGatherer<In, T> gatherer(arguments, first_row + reach, first_column + reach);

  StripSums<kChannels> sums = {};
  Reads<T, kAhead> ahead;
  if (arguments.whole_packs) {
    gatherer.template read<0>(ahead);
  }
  for (int first = 0; first < arguments.shape.out_channels; first += kOutputs) {
    __syncthreads();  // the last channels have been used
    if (arguments.whole_packs) {
      gatherer.template put<0>(ahead, patch);
      Reads<T, kGathers - kAhead> rest;
      gatherer.template read<kAhead>(rest);
      gather_weights<kChannels>(arguments.shape, arguments.weight, first, weights);
      gatherer.template put<kAhead>(rest, patch);
      gatherer.advance();
      gatherer.template read<0>(ahead);  // which comes while these channels are summed
    } else {
      gather_weights<kChannels>(arguments.shape, arguments.weight, first, weights);
      gatherer.read_and_put(patch);
      gatherer.advance();
    }
    __syncthreads();
    add_contributions<kChannels>(corner, weights + sharer * kWeightsOfSharer<kChannels>, sums);
  }
  __syncthreads();
  store_tile<kChannels>(arguments, first_row, first_column, sums, patch);
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
      .dy_height = shape.out_height(),
      .dy_width = shape.out_width(),
      .places = ImagePlaces(layout, shape.in_channels, shape.height * shape.width),
      .whole_packs = shape.out_channels % 4 == 0 && aligned_to_packs(4, dy, y),
      .dy = dy,
      .y = y,
      .weight = weight,
      .x = x,
      .dx = dx};
  // Images first: the other two dimensions of a grid end at 65,535.
  const dim3 blocks(static_cast<unsigned>(shape.images),
                    static_cast<unsigned>(ceil_div(shape.width, kTileWidth)),
                    static_cast<unsigned>(ceil_div(shape.height, kTileHeight)));
  const auto launch = [&](auto channels) {
    constexpr int kChannels = decltype(channels)::value;
    const std::size_t shared =
        sizeof(float) * (kPatchSize + kSharers * kWeightsOfSharer<kChannels>);
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
