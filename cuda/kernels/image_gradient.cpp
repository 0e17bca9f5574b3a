#include "cuda/kernels/image_gradient.h"

#include <algorithm>
#include <cstring>

#include "cuda/device/cpu_clones.h"
#include "cuda/device/host_device.cuh"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

constexpr int kLanes = 16;
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;
/// Output pixels that one pass over the weights makes: these many vectors of some rows.
constexpr int kVectors = 2;
constexpr int kStrip = kVectors * kLanes;

/// Rows of one channel count that share each weight: as many as leave sums in registers.
constexpr int rows_together(int channels) { return channels == 1 ? 4 : 2; }

int rounded_up(int value, int to) { return (value + to - 1) / to * to; }

/// The output gradient with its channels apart and zeros around it: [row][channel][column]. Row r
/// of the image needs rows r … r + kernel − 1 of it; the same holds for columns.
struct Canvas {
  explicit Canvas(const ImageConvolution& c)
      : margin(c.kernel - 1 - c.padding),
        row(rounded_up(c.width, kStrip) + c.kernel - 1),
        rows(rounded_up(c.height, 4) + c.kernel - 1) {}

  int margin;  ///< zeros above and to the left
  std::int64_t row;
  int rows;
};

EBM_HOST_DEVICE void load(const float* from, Lanes& lanes) {
  std::memcpy(&lanes, from, sizeof(lanes));
}
/// The same, but the compiler may not load again wherever the value is used: half of these loads
/// straddle two cache lines, and the multiply–adds would wait for them.
EBM_HOST_DEVICE void load_once(const float* from, Lanes& lanes) {
  using Anywhere [[gnu::vector_size(sizeof(Lanes)), gnu::aligned(alignof(float)), gnu::may_alias]] =
      float;
  lanes = *reinterpret_cast<const volatile Anywhere*>(from);
}
EBM_HOST_DEVICE void store(float* to, const Lanes& lanes) {
  std::memcpy(to, &lanes, sizeof(lanes));
}

/// One pass of a 16×16 transposition: rows i and i + 8 are interleaved into rows 2i and 2i + 1.
/// Four passes transpose.
EBM_HOST_DEVICE void interleave(const Lanes* in, Lanes* out) {
  for (std::int64_t i = 0; i < kLanes / 2; ++i) {
    const Lanes a = in[i];
    const Lanes b = in[i + kLanes / 2];
    out[2 * i] =
        __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    out[2 * i + 1] =
        __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
}

EBM_HOST_DEVICE void load_masked(const float* dy, const float* y, Lanes& gradient) {
  load(dy, gradient);
  if (y != nullptr) {
    Lanes output;
    load(y, output);
    gradient = output > 0.0F ? gradient : kLeakySlope * gradient;
  }
}

/// 16 pixels of 16 channels, from pixel-major memory to the canvas.
EBM_HOST_DEVICE void turn_block(const float* dy, const float* y, std::int64_t channels, float* to,
                                std::int64_t to_row) {
  Lanes a[kLanes];
  Lanes b[kLanes];
  for (int pixel = 0; pixel < kLanes; ++pixel) {
    load_masked(dy + pixel * channels, y == nullptr ? nullptr : y + pixel * channels, a[pixel]);
  }
  interleave(a, b);
  interleave(b, a);
  interleave(a, b);
  interleave(b, a);
  for (int channel = 0; channel < kLanes; ++channel) {
    store(to + channel * to_row, a[channel]);
  }
}

/// One row of the output gradient, `width` pixels of `channels`, onto the canvas.
EBM_CPU_CLONES void turn_row(const float* dy, const float* y, int width, int channels, float* to,
                             std::int64_t to_row) {
  const LeakyRelu relu;
  int pixel = 0;
  const int whole_channels = channels / kLanes * kLanes;
  for (; pixel + kLanes <= width; pixel += kLanes) {
    const std::int64_t at = std::int64_t{pixel} * channels;
    for (int o = 0; o < whole_channels; o += kLanes) {
      turn_block(dy + at + o, y == nullptr ? nullptr : y + at + o, channels,
                 to + o * to_row + pixel, to_row);
    }
  }
  const int whole_pixels = pixel;
  for (int o = 0; o < channels; ++o) {  // what does not fill a block
    for (int p = o < whole_channels ? whole_pixels : 0; p < width; ++p) {
      const std::int64_t at = std::int64_t{p} * channels + o;
      to[o * to_row + p] = y == nullptr ? dy[at] : relu.gradient(y[at], dy[at]);
    }
  }
}

/// kStrip columns of some rows of every channel of dx, whose sums stay in registers.
template <int channels>
EBM_HOST_DEVICE void gradient_strip(const ImageGradientWeights& weights, const float* canvas,
                                    std::int64_t canvas_row, int rows, int columns, float* dx) {
  constexpr int kRows = rows_together(channels);
  const ImageConvolution& c = weights.convolution();
  const std::int64_t image_row = c.out_channels * canvas_row;
  Lanes sum[channels][kRows][kVectors] = {};
  const float* weight = weights.data();
  for (int o = 0; o < c.out_channels; ++o) {
    for (int kh = 0; kh < c.kernel; ++kh) {
      const float* from = canvas + kh * image_row + o * canvas_row;
      for (int kw = 0; kw < c.kernel; ++kw, weight += channels) {
        Lanes d[kRows][kVectors];
        for (int row = 0; row < kRows; ++row) {
          for (int vector = 0; vector < kVectors; ++vector) {
            load_once(from + kw + row * image_row + vector * kLanes, d[row][vector]);
          }
        }
        for (int channel = 0; channel < channels; ++channel) {
          for (int row = 0; row < kRows; ++row) {
            for (int vector = 0; vector < kVectors; ++vector) {
              sum[channel][row][vector] += weight[channel] * d[row][vector];
            }
          }
        }
      }
    }
  }
  for (int channel = 0; channel < channels; ++channel) {
    for (int row = 0; row < std::min(kRows, rows); ++row) {
      std::memcpy(dx + (std::int64_t{channel} * c.height + row) * c.width, sum[channel][row],
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  }
}

template <int channels>
EBM_HOST_DEVICE void gradient_image(const ImageGradientWeights& weights, const float* canvas,
                                    std::int64_t canvas_row, float* dx) {
  const ImageConvolution& c = weights.convolution();
  const std::int64_t image_row = c.out_channels * canvas_row;
  for (int row = 0; row < c.height; row += rows_together(channels)) {
    for (int column = 0; column < c.width; column += kStrip) {
      gradient_strip<channels>(weights, canvas + row * image_row + column, canvas_row,
                               c.height - row, std::min(kStrip, c.width - column),
                               dx + std::int64_t{row} * c.width + column);
    }
  }
}

EBM_CPU_CLONES void gradient_of_canvas(const ImageGradientWeights& weights, const float* canvas,
                                       std::int64_t canvas_row, float* dx) {
  switch (weights.convolution().in_channels) {
    case 1:
      return gradient_image<1>(weights, canvas, canvas_row, dx);
    case 2:
      return gradient_image<2>(weights, canvas, canvas_row, dx);
    case 3:
      return gradient_image<3>(weights, canvas, canvas_row, dx);
    default:
      return gradient_image<4>(weights, canvas, canvas_row, dx);
  }
}

}  // namespace

ImageGradientWeights::ImageGradientWeights(const ImageConvolution& convolution)
    : convolution_(convolution),
      turned_(static_cast<std::size_t>(convolution.out_channels) *
              static_cast<std::size_t>(convolution.in_channels) *
              static_cast<std::size_t>(convolution.kernel * convolution.kernel)) {}

void ImageGradientWeights::set(const float* weights) {
  const std::int64_t taps = std::int64_t{convolution_.kernel} * convolution_.kernel;
  const std::int64_t channels = convolution_.in_channels;
  float* to = turned_.data();
  for (std::int64_t o = 0; o < convolution_.out_channels; ++o) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        to[(o * taps + taps - 1 - tap) * channels + c] = weights[(o * channels + c) * taps + tap];
      }
    }
  }
}

std::int64_t image_gradient_scratch(const ImageConvolution& convolution) {
  const Canvas canvas(convolution);
  return canvas.row * canvas.rows * convolution.out_channels;
}

void image_gradient(const ImageGradientWeights& weights, const float* dy, const float* y,
                    float* scratch, float* dx) {
  const ImageConvolution& c = weights.convolution();
  const Canvas canvas(c);
  const std::int64_t out_row = std::int64_t{c.out_width()} * c.out_channels;
  const std::int64_t image_row = c.out_channels * canvas.row;
  for (int row = 0; row < c.out_height(); ++row) {
    turn_row(dy + row * out_row, y == nullptr ? nullptr : y + row * out_row, c.out_width(),
             c.out_channels, scratch + (row + canvas.margin) * image_row + canvas.margin,
             canvas.row);
  }
  gradient_of_canvas(weights, scratch, canvas.row, dx);
}

}  // namespace ebm
