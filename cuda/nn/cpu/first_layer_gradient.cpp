#include "cuda/nn/cpu/first_layer_gradient.h"

#include <algorithm>
#include <cstring>

#include "cuda/base/ceil_div.h"
#include "cuda/kernels/leaky_relu.cuh"

namespace ebm {
namespace {

/// Image pixels that one pass over the weights makes: two vectors of some rows.
constexpr int kVectors = 2;
constexpr int kMostLanes = 16;

/// Rows of one channel count that share each weight: as many as leave sums and inputs in registers,
/// of which there are 32 where vectors have 16 lanes, and 16 elsewhere.
constexpr int rows_together(int channels, int lanes) {
  const bool many_registers = lanes == kMostLanes;
  return channels == 1   ? (many_registers ? 4 : 3)
         : channels == 2 ? 2
         : channels == 3 ? (many_registers ? 2 : 1)
                         : 1;
}
constexpr int kMostRowsTogether = 4;

/// The output gradient with its channels apart and zeros around it: [row][channel][column]. Row r
/// of the image needs rows r … r + kernel − 1 of it; the same holds for columns.
struct Canvas {
  explicit Canvas(const ImageConvolution& c)
      : margin(c.kernel - 1 - c.padding),
        channel_stride(round_up(c.width, kVectors * kMostLanes) + c.kernel - 1),
        row_stride(channel_stride * c.out_channels),
        rows(c.height + kMostRowsTogether - 1 + c.kernel - 1) {}

  int margin;  ///< zeros above and to the left
  std::int64_t channel_stride;
  std::int64_t row_stride;
  int rows;
};

/// Two rows, lane by lane in turn, into two rows.
EBM_HOST_DEVICE void interleave(const Float4& a, const Float4& b, Float4* out) {
  out[0] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  out[1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
}
EBM_HOST_DEVICE void interleave(const Float8& a, const Float8& b, Float8* out) {
  out[0] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  out[1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
EBM_HOST_DEVICE void interleave(const Float16& a, const Float16& b, Float16* out) {
  out[0] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  out[1] =
      __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/// As many rows as lanes, transposed: interleaving the first half of the rows with the second,
/// log₂(lanes) times over, leaves the columns.
template <class Lanes>
EBM_HOST_DEVICE void transpose(Lanes* rows) {
  constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  for (std::int64_t times = kLanes; times > 1; times /= 2) {
    Lanes next[kLanes];
    for (std::int64_t i = 0; i < kLanes / 2; ++i) {
      interleave(rows[i], rows[i + kLanes / 2], next + 2 * i);
    }
    for (std::int64_t i = 0; i < kLanes; ++i) {
      rows[i] = next[i];
    }
  }
}

template <class Lanes>
EBM_HOST_DEVICE void load_masked(const float* dy, const float* y, Lanes& gradient) {
  load(dy, gradient);
  if (y != nullptr) {
    Lanes output;
    load(y, output);
    gradient = output > 0.0F ? gradient : kLeakySlope * gradient;
  }
}

/// One row of the output gradient, `width` pixels of `channels`, onto the canvas.
template <class Lanes>
EBM_HOST_DEVICE void turn_row(const float* dy, const float* y, int width, int channels, float* to,
                              std::int64_t to_channel) {
  constexpr int kLanes = sizeof(Lanes) / sizeof(float);
  const LeakyRelu relu;
  const int whole_channels = channels / kLanes * kLanes;
  const int whole_pixels = width / kLanes * kLanes;
  for (int pixel = 0; pixel < whole_pixels; pixel += kLanes) {
    for (int o = 0; o < whole_channels; o += kLanes) {
      Lanes block[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const std::int64_t at = std::int64_t{pixel + i} * channels + o;
        load_masked(dy + at, y == nullptr ? nullptr : y + at, block[i]);
      }
      transpose(block);
      for (int i = 0; i < kLanes; ++i) {
        store(to + (o + i) * to_channel + pixel, block[i]);
      }
    }
  }
  const bool is_whole = whole_channels == channels && whole_pixels == width;
  for (int o = 0; !is_whole && o < channels; ++o) {  // what does not fill a block
    for (int p = o < whole_channels ? whole_pixels : 0; p < width; ++p) {
      const std::int64_t at = std::int64_t{p} * channels + o;
      to[o * to_channel + p] = y == nullptr ? dy[at] : relu.gradient(y[at], dy[at]);
    }
  }
}

/// Two vectors of columns of some rows of every channel of dx, whose sums stay in registers.
template <class Lanes, int channels>
EBM_HOST_DEVICE void gradient_strip(const ImageGradientWeights& weights, const Canvas& canvas,
                                    const float* corner, int rows, int columns, float* dx) {
  constexpr int kLanes = sizeof(Lanes) / sizeof(float);
  constexpr int kRows = rows_together(channels, kLanes);
  const ImageConvolution& c = weights.convolution();
  Lanes sum[channels][kRows][kVectors] = {};
  const float* weight = weights.data();
  for (int o = 0; o < c.out_channels; ++o) {
    for (int kh = 0; kh < c.kernel; ++kh) {
      const float* from = corner + kh * canvas.row_stride + o * canvas.channel_stride;
      for (int kw = 0; kw < c.kernel; ++kw, weight += channels) {
        // Half of these loads straddle two cache lines: one each has to do for all channels.
        Lanes d[kRows][kVectors];
        for (int row = 0; row < kRows; ++row) {
          const float* pixels = from + kw + row * canvas.row_stride;
          for (int vector = 0; vector < kVectors; ++vector, pixels += kLanes) {
            load_once(pixels, d[row][vector]);
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

template <class Lanes, int channels>
EBM_HOST_DEVICE void gradient_of_canvas(const ImageGradientWeights& weights, const Canvas& canvas,
                                        const float* turned, float* dx) {
  constexpr int kLanes = sizeof(Lanes) / sizeof(float);
  constexpr int kStrip = kVectors * kLanes;
  const ImageConvolution& c = weights.convolution();
  for (int row = 0; row < c.height; row += rows_together(channels, kLanes)) {
    for (int column = 0; column < c.width; column += kStrip) {
      gradient_strip<Lanes, channels>(weights, canvas, turned + row * canvas.row_stride + column,
                                      c.height - row, std::min(kStrip, c.width - column),
                                      dx + std::int64_t{row} * c.width + column);
    }
  }
}

template <class Lanes>
EBM_HOST_DEVICE void gradient_in(const ImageGradientWeights& weights, const float* dy,
                                 const float* y, float* scratch, float* dx) {
  const ImageConvolution& c = weights.convolution();
  const Canvas canvas(c);
  const std::int64_t out_row = std::int64_t{c.out_width()} * c.out_channels;
  for (int row = 0; row < c.out_height(); ++row) {
    turn_row<Lanes>(dy + row * out_row, y == nullptr ? nullptr : y + row * out_row, c.out_width(),
                    c.out_channels,
                    scratch + (row + canvas.margin) * canvas.row_stride + canvas.margin,
                    canvas.channel_stride);
  }
  switch (c.in_channels) {
    case 1:
      return gradient_of_canvas<Lanes, 1>(weights, canvas, scratch, dx);
    case 2:
      return gradient_of_canvas<Lanes, 2>(weights, canvas, scratch, dx);
    case 3:
      return gradient_of_canvas<Lanes, 3>(weights, canvas, scratch, dx);
    default:
      return gradient_of_canvas<Lanes, 4>(weights, canvas, scratch, dx);
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
  return canvas.row_stride * canvas.rows;
}

void image_gradient(const ImageGradientWeights& weights, const float* dy, const float* y,
                    float* scratch, float* dx, int lanes) {
  const auto gradient = [&]<class Lanes>() __attribute__((always_inline)) {
    gradient_in<Lanes>(weights, dy, y, scratch, dx);
  };
  with_vectors(lanes, gradient);
}

}  // namespace ebm
