#include "cuda/kernels/direct_convolution.cuh"

#include <algorithm>
#include <cstdint>

#include "cuda/device/bfloat16.cuh"
#include "cuda/kernels/column_sums.cuh"
#include "cuda/kernels/gathered_product.cuh"
#include "cuda/kernels/image_gradient.cuh"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

struct ImageSize {
  int height;
  int width;

  EBM_HOST_DEVICE int pixels() const { return height * width; }
  EBM_HOST_DEVICE bool contains(int row, int column) const {
    return row >= 0 && row < height && column >= 0 && column < width;
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
  EBM_HOST_DEVICE void next(const ImageSize& size) {
    if (++column == size.width) {
      column = 0;
      if (++row == size.height) {
        row = 0;
        ++image;
      }
    }
  }
};

/// A tap of the kernel on one channel, in the order of the weights.
struct Tap {
  int channel;
  int row;
  int column;

  EBM_HOST_DEVICE Tap(int tap, int kernel)
      : channel(tap / (kernel * kernel)), row(tap / kernel % kernel), column(tap % kernel) {}
  EBM_HOST_DEVICE void next(int kernel) {
    if (++column == kernel) {
      column = 0;
      if (++row == kernel) {
        row = 0;
        ++channel;
      }
    }
  }
};

/// A convolution's input, zero in its padding.
template <class In>
struct Input {
  ImageSize size;
  int stride;
  int padding;
  ImagePlaces places;
  const In* x;

  Input(const ConvolutionShape& shape, ImageLayout layout, const In* values)
      : size{shape.height, shape.width},
        stride(shape.stride),
        padding(shape.padding),
        places(layout, shape.in_channels, size.pixels()),
        x(values) {}

  /// What `tap` meets for the output at `pixel`.
  EBM_HOST_DEVICE float at(const Pixel& pixel, const Tap& tap) const {
    const int row = pixel.row * stride - padding + tap.row;
    const int column = pixel.column * stride - padding + tap.column;
    if (!size.contains(row, column)) {
      return 0;
    }
    return static_cast<float>(x[pixel.image * places.image + tap.channel * places.channel +
                                (row * size.width + column) * places.pixel]);
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

  EBM_HOST_DEVICE float at(std::int64_t pixel, std::int64_t channel) const {
    const std::int64_t place = pixel * channels + channel;
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
  static constexpr bool kTermsAreNeighbours = true;

  ProductSize size;
  ImageSize output;
  int kernel;
  Input<In> input;
  const float* weight;
  const float* bias;
  Epilogue epilogue;
  bool whole_packs;
  T* y;

  struct Walk {
    Input<In> input;
    int kernel;
    bool inside;
    Pixel pixel;
    Tap tap;

    __device__ float next() {
      const float value = inside ? input.at(pixel, tap) : 0.0F;
      tap.next(kernel);
      return value;
    }
  };
  __device__ Walk walk(std::int64_t row, std::int64_t term) const {
    return {input, kernel, row < size.rows, Pixel(row, output),
            Tap(static_cast<int>(term), kernel)};
  }

  __device__ float b(std::int64_t term, std::int64_t column) const {
    return weight[column * size.terms + term];
  }

  __device__ float finished(float sum, float before, std::int64_t column) const {
    sum += bias[column];
    return epilogue == Epilogue::add          ? before + sum
           : epilogue == Epilogue::leaky_relu ? LeakyRelu{}(sum)
                                              : sum;
  }
  __device__ void store(std::int64_t /*group*/, std::int64_t row, std::int64_t column,
                        const Floats<4>& sums) const {
    T* const to = y + row * size.columns + column;
    const bool adds = epilogue == Epilogue::add;
    if (whole_packs) {
      Floats<4> values = adds ? load_pack<4>(to) : Floats<4>{};
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        values.v[k] = finished(sums.v[k], values.v[k], column + k);
      }
      store_pack(to, values);
      return;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (column + k < size.columns) {
        const float before = adds ? static_cast<float>(to[k]) : 0.0F;
        to[k] = static_cast<T>(finished(sums.v[k], before, column + k));
      }
    }
  }
};

/// dx: input pixels × input channels, summed over the taps that dy was made with.
template <class In, class T>
struct InputGradientProblem {
  static constexpr bool kTermsAreNeighbours = true;

  ProductSize size;
  int kernel;
  Input<In> input;  // its x is the mask, or null
  OutputGradient<T> gradient;
  const float* weight;
  In* dx;

  struct Walk {
    int kernel;
    int stride;
    int padding;
    OutputGradient<T> gradient;
    bool inside;
    Pixel pixel;
    Tap tap;  // its channel is dy's

    __device__ float next() {
      const float value = inside ? met() : 0.0F;
      tap.next(kernel);
      return value;
    }
    /// dy of the output whose tap met this pixel, if there is one.
    __device__ float met() const {
      const int down = pixel.row + padding - tap.row;
      const int across = pixel.column + padding - tap.column;
      const int row = down / stride;
      const int column = across / stride;
      if (row * stride != down || column * stride != across ||
          !gradient.size.contains(row, column)) {
        return 0;
      }
      return gradient.at((pixel.image * gradient.size.height + row) * gradient.size.width + column,
                         tap.channel);
    }
  };
  __device__ Walk walk(std::int64_t row, std::int64_t term) const {
    return {kernel,
            input.stride,
            input.padding,
            gradient,
            row < size.rows,
            Pixel(row, input.size),
            Tap(static_cast<int>(term), kernel)};
  }

  __device__ float b(std::int64_t term, std::int64_t column) const {
    const int positions = kernel * kernel;
    const int output = static_cast<int>(term) / positions;
    const int position = static_cast<int>(term) % positions;
    return weight[(output * size.columns + column) * positions + position];
  }

  __device__ void store(std::int64_t /*group*/, std::int64_t row, std::int64_t column,
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
  static constexpr bool kTermsAreNeighbours = false;

  ProductSize size;
  int kernel;
  Input<In> input;
  OutputGradient<T> gradient;
  float* partials;

  struct Walk {
    Input<In> input;
    ImageSize output;
    bool is_bias;
    bool inside;
    Pixel pixel;
    Tap tap;

    __device__ float next() {
      const float value = is_bias ? 1.0F : inside ? input.at(pixel, tap) : 0.0F;
      pixel.next(output);
      return value;
    }
  };
  __device__ Walk walk(std::int64_t row, std::int64_t term) const {
    const std::int64_t bias_row = size.rows - 1;
    return {input,
            gradient.size,
            row == bias_row,
            row < bias_row,
            Pixel(term, gradient.size),
            Tap(static_cast<int>(row), kernel)};
  }

  __device__ float b(std::int64_t term, std::int64_t column) const {
    return gradient.at(term, column);
  }

  __device__ void store(std::int64_t group, std::int64_t row, std::int64_t column,
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
  const auto rounded_up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const std::int64_t rows = taps(shape) + 1;
  const std::int64_t tiles =
      rounded_up(rows, kTileRows) * rounded_up(shape.out_channels, kTileColumns);
  const std::int64_t pixels = out_pixels(shape);
  const std::int64_t groups = std::clamp(rounded_up(pixels, kPixelsWorthABlock), std::int64_t{1},
                                         rounded_up(kBlocks, tiles));
  const std::int64_t turns =
      std::max(rounded_up(rounded_up(pixels, groups), kTileTerms), std::int64_t{1});
  return {rows, shape.out_channels, pixels, turns * kTileTerms};
}

}  // namespace

template <class In, class T>
void convolution_forward(const CudaStream& stream, const ConvolutionShape& shape,
                         ImageLayout layout, const In* x, const float* weight, const float* bias,
                         Epilogue epilogue, T* y) {
  gathered_product(stream,
                   ForwardProblem<In, T>{
                       .size = {out_pixels(shape), shape.out_channels, taps(shape), taps(shape)},
                       .output = {shape.out_height(), shape.out_width()},
                       .kernel = shape.kernel,
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
  if (image_gradient_serves(shape)) {
    image_gradient(stream, shape, layout, dy, y, weight, x, dx);
    return;
  }
  const std::int64_t terms = std::int64_t{shape.out_channels} * shape.kernel * shape.kernel;
  const std::int64_t pixels = std::int64_t{shape.images} * shape.height * shape.width;
  gathered_product(stream,
                   InputGradientProblem<In, T>{.size = {pixels, shape.in_channels, terms, terms},
                                               .kernel = shape.kernel,
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
  gathered_product(stream, WeightGradientProblem<In, T>{.size = size,
                                                        .kernel = shape.kernel,
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
