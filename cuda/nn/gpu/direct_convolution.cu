#include "cuda/nn/gpu/direct_convolution.cuh"

#include <algorithm>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/device/bfloat16.cuh"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/column_sums.cuh"
#include "cuda/nn/gpu/image_convolution.cuh"
#include "cuda/nn/gpu/implicit_gemm.cuh"

namespace ebm {
namespace {

struct ImageSize {
  int height;
  int width;

  EBM_HOST_DEVICE int pixels() const { return height * width; }
  EBM_HOST_DEVICE bool contains(int row, int column) const {
    return static_cast<unsigned>(row) < static_cast<unsigned>(height) &&
           static_cast<unsigned>(column) < static_cast<unsigned>(width);
  }
};

/// A pixel of a stack of images.
struct Pixel {
  std::int64_t image;
  int row;
  int column;

  EBM_HOST_DEVICE Pixel(std::int64_t pixel, const ImageSize& size)
      : image(static_cast<std::uint32_t>(pixel) / static_cast<std::uint32_t>(size.pixels())) {
    const int within = static_cast<int>(pixel - image * size.pixels());
    row = within / size.width;
    column = within % size.width;
  }
};

/// A tap of the kernel on one channel, counted in the order of the weights.
struct Tap {
  int channel;
  int row;
  int column;

  EBM_HOST_DEVICE Tap(std::int64_t tap, int kernel)
      : channel(static_cast<int>(tap) / (kernel * kernel)),
        row(static_cast<int>(tap) / kernel % kernel),
        column(static_cast<int>(tap) % kernel) {}
};

/// A convolution's input, zero in its padding. What a tap meets is at the sum of the tap's place
/// and that of the output's pixel.
template <class In>
struct Input {
  ImageSize size;
  ImageSize output;
  int kernel;
  int stride;
  int padding;
  ImagePlaces places;
  const In* x;

  Input(const ConvolutionShape& shape, ImageLayout layout, const In* values)
      : size{shape.height, shape.width},
        output{shape.out_height(), shape.out_width()},
        kernel(shape.kernel),
        stride(shape.stride),
        padding(shape.padding),
        places(layout, shape.in_channels, size.pixels()),
        x(values) {}

  EBM_HOST_DEVICE GatheredPlace place(std::int64_t offset, int row, int column) const {
    return {offset + std::int64_t{row * size.width + column} * places.pixel, row, column};
  }
  EBM_HOST_DEVICE GatheredPlace place_of_output(std::int64_t output_pixel) const {
    const Pixel pixel(output_pixel, output);
    return place(pixel.image * places.image, pixel.row * stride - padding,
                 pixel.column * stride - padding);
  }
  EBM_HOST_DEVICE GatheredPlace place_of_tap(std::int64_t index) const {
    const Tap tap(index, kernel);
    return place(std::int64_t{tap.channel} * places.channel, tap.row, tap.column);
  }
  EBM_HOST_DEVICE float at(const GatheredPlace& place) const {
    return size.contains(place.row, place.column) ? static_cast<float>(x[place.offset]) : 0.0F;
  }
};

/// The gradient with respect to a convolution's output, dy ∘ LeakyReLU'(y) or dy.
template <class T>
struct OutputGradient {
  ImageSize size;
  int channels;
  const T* dy;
  const T* y;

  OutputGradient(const ConvolutionShape& shape, const T* gradient, const T* mask)
      : size{shape.out_height(), shape.out_width()},
        channels(shape.out_channels),
        dy(gradient),
        y(mask) {}

  EBM_HOST_DEVICE float at(std::int64_t place) const {
    const auto gradient = static_cast<float>(dy[place]);
    return y == nullptr ? gradient : LeakyRelu{}.gradient(static_cast<float>(y[place]), gradient);
  }
};

std::int64_t out_pixels(const ConvolutionShape& shape) {
  return std::int64_t{shape.images} * shape.out_height() * shape.out_width();
}

int taps(const ConvolutionShape& shape) { return shape.in_channels * shape.kernel * shape.kernel; }

/// y: output pixels × output channels, summed over taps.
template <class In, class T>
struct ForwardProblem {
  static constexpr bool kNeighboursAlongK = true;

  ProductSize size;
  Input<In> input;
  const float* weight;
  const float* bias;
  Epilogue epilogue;
  bool whole_packs;
  T* y;

  __device__ GatheredPlace place_of_row(std::int64_t row) const {
    return input.place_of_output(row);
  }
  __device__ GatheredPlace place_of_k(std::int64_t k) const { return input.place_of_tap(k); }
  __device__ float a(const GatheredPlace& place) const { return input.at(place); }
  __device__ float b(std::int64_t k, int column) const { return weight[column * size.k + k]; }
  __device__ Floats<4> start(int column) const {
    Floats<4> biases{};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      biases.v[k] = column + k < size.columns ? bias[column + k] : 0.0F;
    }
    return biases;
  }

  __device__ float finished(float sum, float before) const {
    return epilogue == Epilogue::add          ? before + sum
           : epilogue == Epilogue::leaky_relu ? LeakyRelu{}(sum)
                                              : sum;
  }
  __device__ void store(std::int64_t /*group*/, std::int64_t row, int column,
                        const Floats<4>& sums) const {
    T* const to = y + row * size.columns + column;
    const bool adds = epilogue == Epilogue::add;
    if (whole_packs) {
      Floats<4> values = adds ? load_pack<4>(to) : Floats<4>{};
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        values.v[k] = finished(sums.v[k], values.v[k]);
      }
      store_pack(to, values);
      return;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (column + k < size.columns) {
        const float before = adds ? static_cast<float>(to[k]) : 0.0F;
        to[k] = static_cast<T>(finished(sums.v[k], before));
      }
    }
  }
};

/// dx: input pixels × input channels, summed over the taps that dy was made with.
template <class In, class T>
struct InputGradientProblem {
  static constexpr bool kNeighboursAlongK = true;

  ProductSize size;
  Input<In> input;  // its x is the mask, or null
  OutputGradient<T> gradient;
  const float* weight;
  In* dx;

  // A tap met a pixel for the output at (pixel + padding − tap) / stride, if that is whole.
  __device__ GatheredPlace place_of_row(std::int64_t row) const {
    const Pixel pixel(row, input.size);
    return {pixel.image * gradient.size.pixels() * gradient.channels, pixel.row + input.padding,
            pixel.column + input.padding};
  }
  __device__ GatheredPlace place_of_k(std::int64_t k) const {
    const Tap tap(k, input.kernel);  // its channel is dy's
    return {tap.channel, -tap.row, -tap.column};
  }
  __device__ float a(const GatheredPlace& place) const {
    int row = place.row;
    int column = place.column;
    if (input.stride > 1) {
      if (row % input.stride != 0 || column % input.stride != 0) {
        return 0;
      }
      row /= input.stride;
      column /= input.stride;
    }
    return gradient.size.contains(row, column)
               ? gradient.at(place.offset +
                             std::int64_t{row * gradient.size.width + column} * gradient.channels)
               : 0.0F;
  }
  __device__ float b(std::int64_t k, int column) const {
    const int positions = input.kernel * input.kernel;
    const int output = static_cast<int>(k) / positions;
    const int position = static_cast<int>(k) % positions;
    return weight[(std::int64_t{output} * size.columns + column) * positions + position];
  }
  __device__ Floats<4> start(int /*column*/) const { return {}; }

  __device__ void store(std::int64_t /*group*/, std::int64_t row, int column,
                        const Floats<4>& sums) const {
    const Pixel pixel(row, input.size);
    const ImagePlaces& places = input.places;
    const std::int64_t first =
        pixel.image * places.image + (pixel.row * input.size.width + pixel.column) * places.pixel;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (column + k < size.columns) {
        const std::int64_t at = first + (column + k) * places.channel;
        const float value = input.x == nullptr
                                ? sums.v[k]
                                : LeakyRelu{}.gradient(static_cast<float>(input.x[at]), sums.v[k]);
        dx[at] = static_cast<In>(value);
      }
    }
  }
};

/// The weights' gradient: taps × output channels, summed over output pixels; and one more row, of
/// ones in A, that is the bias's. A group's sums lie as the gradients do: weights, then biases.
template <class In, class T>
struct WeightGradientProblem {
  static constexpr bool kNeighboursAlongK = false;

  ProductSize size;
  Input<In> input;
  OutputGradient<T> gradient;
  float* partials;

  static constexpr int kOnes = 1 << 29;  // a row of places where A is 1

  __device__ GatheredPlace place_of_row(std::int64_t row) const {
    return row < size.rows - 1 ? input.place_of_tap(row) : GatheredPlace{0, kOnes, 0};
  }
  __device__ GatheredPlace place_of_k(std::int64_t k) const { return input.place_of_output(k); }
  __device__ float a(const GatheredPlace& place) const {
    return place.row >= kOnes / 2 ? 1.0F : input.at(place);
  }
  __device__ float b(std::int64_t k, int column) const {
    return gradient.at(k * size.columns + column);
  }
  __device__ Floats<4> start(int /*column*/) const { return {}; }

  __device__ void store(std::int64_t group, std::int64_t row, int column,
                        const Floats<4>& sums) const {
    const std::int64_t taps = size.rows - 1;
    float* const to = partials + group * size.rows * size.columns;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (column + k < size.columns) {
        to[row == taps ? taps * size.columns + column + k : (column + k) * taps + row] = sums.v[k];
      }
    }
  }
};

/// Enough groups of pixels for some hundreds of blocks, and enough pixels for a block to be worth
/// it.
ProductSize weight_gradient_size(const ConvolutionShape& shape) {
  constexpr std::int64_t kBlocks = 512;
  constexpr std::int64_t kPixelsWorthABlock = 256;
  const std::int64_t rows = taps(shape) + 1;
  const std::int64_t tiles = ceil_div(rows, kTileRows) * ceil_div(shape.out_channels, kTileColumns);
  const std::int64_t pixels = out_pixels(shape);
  const std::int64_t groups =
      std::clamp(ceil_div(pixels, kPixelsWorthABlock), std::int64_t{1}, ceil_div(kBlocks, tiles));
  const std::int64_t k_tiles =
      std::max(ceil_div(ceil_div(pixels, groups), kTileK), std::int64_t{1});
  return {rows, shape.out_channels, pixels, k_tiles * kTileK};
}

}  // namespace

template <class In, class T>
void convolution_forward(const CudaStream& stream, const ConvolutionShape& shape,
                         ImageLayout layout, const In* x, const float* weight, const float* bias,
                         Epilogue epilogue, T* y) {
  if (is_image_convolution(shape)) {
    image_forward(stream, shape, layout, x, weight, bias, epilogue, y);
    return;
  }
  implicit_gemm(stream,
                ForwardProblem<In, T>{
                    .size = {out_pixels(shape), shape.out_channels, taps(shape), taps(shape)},
                    .input = Input<In>(shape, layout, x),
                    .weight = weight,
                    .bias = bias,
                    .epilogue = epilogue,
                    .whole_packs = shape.out_channels % 4 == 0 && aligned_to_packs(4, y),
                    .y = y});
}

template <class In, class T>
void convolution_input_gradient(const CudaStream& stream, const ConvolutionShape& shape,
                                ImageLayout layout, const T* dy, const T* y, const float* weight,
                                const In* x, In* dx) {
  if (is_image_convolution(shape)) {
    image_gradient(stream, shape, layout, dy, y, weight, x, dx);
    return;
  }
  const std::int64_t k = std::int64_t{shape.out_channels} * shape.kernel * shape.kernel;
  const std::int64_t pixels = std::int64_t{shape.images} * shape.height * shape.width;
  implicit_gemm(stream, InputGradientProblem<In, T>{.size = {pixels, shape.in_channels, k, k},
                                                    .input = Input<In>(shape, layout, x),
                                                    .gradient = OutputGradient<T>(shape, dy, y),
                                                    .weight = weight,
                                                    .dx = dx});
}

std::size_t convolution_weight_gradient_scratch(const ConvolutionShape& shape) {
  const ProductSize size = weight_gradient_size(shape);
  return static_cast<std::size_t>(size.groups() * size.rows * size.columns);
}

template <class In, class T>
void convolution_weight_gradient(const CudaStream& stream, const ConvolutionShape& shape,
                                 ImageLayout layout, const In* x, const T* dy, const T* y,
                                 float* scratch, float* weight_gradient, float* bias_gradient) {
  const ProductSize size = weight_gradient_size(shape);
  implicit_gemm(stream, WeightGradientProblem<In, T>{.size = size,
                                                     .input = Input<In>(shape, layout, x),
                                                     .gradient = OutputGradient<T>(shape, dy, y),
                                                     .partials = scratch});
  const std::int64_t values = size.rows * size.columns;
  const std::int64_t weights = values - size.columns;
  sum_partials(stream, size.groups(), values, weights, scratch, weight_gradient);
  sum_partials(stream, size.groups(), values, size.columns, scratch + weights, bias_gradient);
}

template void convolution_forward(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                  const float*, const float*, const float*, Epilogue, float*);
template void convolution_input_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                         const float*, const float*, const float*, const float*,
                                         float*);
template void convolution_weight_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                          const float*, const float*, const float*, float*, float*,
                                          float*);

template void convolution_forward(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                  const float*, const float*, const float*, Epilogue, Bfloat16*);
template void convolution_input_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                         const Bfloat16*, const Bfloat16*, const float*,
                                         const float*, float*);
template void convolution_weight_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                          const float*, const Bfloat16*, const Bfloat16*, float*,
                                          float*, float*);

template void convolution_forward(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                  const Bfloat16*, const float*, const float*, Epilogue, Bfloat16*);
template void convolution_input_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                         const Bfloat16*, const Bfloat16*, const float*,
                                         const Bfloat16*, Bfloat16*);
template void convolution_weight_gradient(const CudaStream&, const ConvolutionShape&, ImageLayout,
                                          const Bfloat16*, const Bfloat16*, const Bfloat16*, float*,
                                          float*, float*);

}  // namespace ebm
