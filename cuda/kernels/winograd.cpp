#include "cuda/kernels/winograd.h"

#include <algorithm>

#include "cuda/kernels/panel_product.h"
#include "cuda/kernels/winograd_schemes.h"

namespace ebm {
namespace {

/// Matrices' rows are this much longer than their contents, so that what has the same place in
/// several rows or points is not in the same set of a cache.
constexpr std::int64_t kApart = 16;

/// Where the pixels of a square that begins at (top, left) of an image are, row by row.
template <int side, class Pointer>
EBM_HOST_DEVICE void places_of_square(Pointer image, std::int64_t top, std::int64_t left,
                                      std::int64_t height, std::int64_t width,
                                      std::int64_t channels, Pointer outside,
                                      Pointer (&places)[side * side]) {
  for (std::int64_t i = 0; i < side; ++i) {
    for (std::int64_t j = 0; j < side; ++j) {
      const std::int64_t row = top + i;
      const std::int64_t column = left + j;
      const bool inside = row >= 0 && row < height && column >= 0 && column < width;
      places[i * side + j] = inside ? image + (row * width + column) * channels : outside;
    }
  }
}

}  // namespace

/// The passes by one scheme, with one kind of vectors.
template <class Lanes, class Scheme>
struct WinogradPasses {
  static constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  static constexpr int kPoints = Scheme::kPoints;
  static constexpr int kAllPoints = kPoints * kPoints;
  static constexpr int kWindow = Scheme::kTaps + 1;  // inputs of a tile in one phase
  static constexpr int kPatch = kWindow * Scheme::kStride;
  static constexpr int kTile = 2;

  const WinogradConvolution& plan;
  const ConvolutionShape shape = plan.shape_;
  const std::int64_t in = shape.in_channels;
  const std::int64_t out = shape.out_channels;
  const std::int64_t tile_rows = (shape.out_height() + kTile - 1) / kTile;
  const std::int64_t tile_columns = (shape.out_width() + kTile - 1) / kTile;
  const std::int64_t tiles = shape.images * tile_rows * tile_columns;
  const std::int64_t inner = plan.phases_ * in;  // channels of v
  const std::int64_t v_row = inner + kApart;
  const std::int64_t m_row = out + kApart;
  const std::int64_t v_point = plan.tiles_at_once_ * v_row;
  const std::int64_t m_point = plan.tiles_at_once_ * m_row;

  /// Where a tile's inputs are in memory; `outside` for those beyond the image's edges.
  template <class Pointer>
  EBM_HOST_DEVICE void places_of_inputs(std::int64_t tile, Pointer x, Pointer outside,
                                        Pointer (&places)[kPatch * kPatch]) const {
    const std::int64_t image = tile / (tile_rows * tile_columns);
    const std::int64_t row = tile / tile_columns % tile_rows * kTile * Scheme::kStride;
    const std::int64_t column = tile % tile_columns * kTile * Scheme::kStride;
    places_of_square<kPatch>(x + image * shape.height * shape.width * in, row - shape.padding,
                             column - shape.padding, shape.height, shape.width, in, outside,
                             places);
  }
  /// Where its outputs are.
  template <class Pointer>
  EBM_HOST_DEVICE void places_of_outputs(std::int64_t tile, Pointer y, Pointer outside,
                                         Pointer (&places)[kTile * kTile]) const {
    const std::int64_t image = tile / (tile_rows * tile_columns);
    places_of_square<kTile>(y + image * shape.out_height() * shape.out_width() * out,
                            tile / tile_columns % tile_rows * kTile, tile % tile_columns * kTile,
                            shape.out_height(), shape.out_width(), out, outside, places);
  }

  /// The places in a patch of one phase's inputs.
  EBM_HOST_DEVICE static int in_phase(int phase, int i) {
    const int row = phase / Scheme::kStride + i / kWindow * Scheme::kStride;
    const int column = phase % Scheme::kStride + i % kWindow * Scheme::kStride;
    return row * kPatch + column;
  }

  EBM_HOST_DEVICE void transform_inputs(std::int64_t tile, const float* x, const float* zeros,
                                        float* v) const {
    const float* places[kPatch * kPatch];
    places_of_inputs(tile, x, zeros, places);
    for (int phase = 0; phase < Scheme::kStride * Scheme::kStride; ++phase) {
      for (std::int64_t channel = 0; channel < in; channel += kLanes) {
        Lanes d[kWindow * kWindow];
        for (int i = 0; i < kWindow * kWindow; ++i) {
          load(places[in_phase(phase, i)] + channel, d[i]);
        }
        Lanes points[kAllPoints];
        in_both_dimensions<kWindow, kPoints>(
            d, points, [](const Lanes* from, Lanes* to) { Scheme::inputs(from, to); });
        for (int point = 0; point < kAllPoints; ++point) {
          store(v + point * v_point + phase * in + channel, points[point]);
        }
      }
    }
  }

  EBM_HOST_DEVICE void transform_inputs_back(std::int64_t tile, const float* dv, float* outside,
                                             float* dx) const {
    float* places[kPatch * kPatch];
    places_of_inputs(tile, dx, outside, places);
    for (int phase = 0; phase < Scheme::kStride * Scheme::kStride; ++phase) {
      for (std::int64_t channel = 0; channel < in; channel += kLanes) {
        Lanes points[kAllPoints];
        for (int point = 0; point < kAllPoints; ++point) {
          load(dv + point * v_point + phase * in + channel, points[point]);
        }
        Lanes d[kWindow * kWindow];
        in_both_dimensions<kPoints, kWindow>(
            points, d, [](const Lanes* from, Lanes* to) { Scheme::inputs_back(from, to); });
        for (int i = 0; i < kWindow * kWindow; ++i) {
          float* place = places[in_phase(phase, i)] + channel;
          Lanes sum;
          load(place, sum);
          store(place, sum + d[i]);
        }
      }
    }
  }

  EBM_HOST_DEVICE void transform_outputs(std::int64_t tile, const float* m, const float* bias,
                                         float slope, float* outside, float* y) const {
    float* places[kTile * kTile];
    places_of_outputs(tile, y, outside, places);
    for (std::int64_t channel = 0; channel < out; channel += kLanes) {
      Lanes points[kAllPoints];
      for (int point = 0; point < kAllPoints; ++point) {
        load(m + point * m_point + channel, points[point]);
      }
      Lanes of_tile[kTile * kTile];
      in_both_dimensions<kPoints, kTile>(
          points, of_tile, [](const Lanes* from, Lanes* to) { Scheme::outputs(from, to); });
      Lanes constant;
      load(bias + channel, constant);
      for (int i = 0; i < kTile * kTile; ++i) {
        const Lanes sum = of_tile[i] + constant;
        store(places[i] + channel, sum > 0.0F ? sum : slope * sum);
      }
    }
  }

  EBM_HOST_DEVICE void transform_outputs_back(std::int64_t tile, const float* dy,
                                              const float* zeros, float* dm) const {
    const float* places[kTile * kTile];
    places_of_outputs(tile, dy, zeros, places);
    for (std::int64_t channel = 0; channel < out; channel += kLanes) {
      Lanes of_tile[kTile * kTile];
      for (int i = 0; i < kTile * kTile; ++i) {
        load(places[i] + channel, of_tile[i]);
      }
      Lanes points[kAllPoints];
      in_both_dimensions<kTile, kPoints>(
          of_tile, points, [](const Lanes* from, Lanes* to) { Scheme::outputs_back(from, to); });
      for (int point = 0; point < kAllPoints; ++point) {
        store(dm + point * m_point + channel, points[point]);
      }
    }
  }

  EBM_HOST_DEVICE void forward(const float* x, const float* bias, float slope, float* scratch,
                               float* y) const {
    float* v = scratch;
    float* m = v + kAllPoints * v_point;
    float* outside = m + kAllPoints * m_point;
    std::fill_n(outside, in, 0.0F);
    for (std::int64_t first = 0; first < tiles; first += plan.tiles_at_once_) {
      const std::int64_t count = std::min(plan.tiles_at_once_, tiles - first);
      for (std::int64_t i = 0; i < count; ++i) {
        transform_inputs(first + i, x, outside, v + i * v_row);
      }
      for (std::int64_t point = 0; point < kAllPoints; ++point) {
        panel_product(count, inner, out, v + point * v_point, v_row,
                      plan.forward_.data() + point * inner * out, m + point * m_point, m_row,
                      kLanes);
      }
      for (std::int64_t i = 0; i < count; ++i) {
        transform_outputs(first + i, m + i * m_row, bias, slope, outside + in, y);
      }
    }
  }

  EBM_HOST_DEVICE void backward(const float* dy, float* scratch, float* dx) const {
    float* dv = scratch;
    float* dm = dv + kAllPoints * v_point;
    float* outside = dm + kAllPoints * m_point;
    std::fill_n(outside, out, 0.0F);
    std::fill_n(dx, in * shape.images * shape.height * shape.width, 0.0F);
    for (std::int64_t first = 0; first < tiles; first += plan.tiles_at_once_) {
      const std::int64_t count = std::min(plan.tiles_at_once_, tiles - first);
      for (std::int64_t i = 0; i < count; ++i) {
        transform_outputs_back(first + i, dy, outside, dm + i * m_row);
      }
      for (std::int64_t point = 0; point < kAllPoints; ++point) {
        panel_product(count, out, inner, dm + point * m_point, m_row,
                      plan.backward_.data() + point * inner * out, dv + point * v_point, v_row,
                      kLanes);
      }
      for (std::int64_t i = 0; i < count; ++i) {
        transform_inputs_back(first + i, dv + i * v_row, outside + out, dx);
      }
    }
  }
};

namespace {

bool is(const ConvolutionShape& shape, auto scheme) {
  return shape.kernel == scheme.kKernel && shape.stride == scheme.kStride;
}

template <class Lanes>
EBM_HOST_DEVICE void forward_in(const WinogradConvolution& plan, const ConvolutionShape& shape,
                                const float* x, const float* bias, float slope, float* scratch,
                                float* y) {
  if (is(shape, ThreeTaps())) {
    WinogradPasses<Lanes, ThreeTaps>{plan}.forward(x, bias, slope, scratch, y);
  } else {
    WinogradPasses<Lanes, FourTapsStrideTwo>{plan}.forward(x, bias, slope, scratch, y);
  }
}

template <class Lanes>
EBM_HOST_DEVICE void backward_in(const WinogradConvolution& plan, const ConvolutionShape& shape,
                                 const float* dy, float* scratch, float* dx) {
  if (is(shape, ThreeTaps())) {
    WinogradPasses<Lanes, ThreeTaps>{plan}.backward(dy, scratch, dx);
  } else {
    WinogradPasses<Lanes, FourTapsStrideTwo>{plan}.backward(dy, scratch, dx);
  }
}

#if defined(__x86_64__)
EBM_AVX512 void forward_avx512(const WinogradConvolution& plan, const ConvolutionShape& shape,
                               const float* x, const float* bias, float slope, float* scratch,
                               float* y) {
  forward_in<Float16>(plan, shape, x, bias, slope, scratch, y);
}
EBM_AVX2 void forward_avx2(const WinogradConvolution& plan, const ConvolutionShape& shape,
                           const float* x, const float* bias, float slope, float* scratch,
                           float* y) {
  forward_in<Float8>(plan, shape, x, bias, slope, scratch, y);
}
EBM_AVX512 void backward_avx512(const WinogradConvolution& plan, const ConvolutionShape& shape,
                                const float* dy, float* scratch, float* dx) {
  backward_in<Float16>(plan, shape, dy, scratch, dx);
}
EBM_AVX2 void backward_avx2(const WinogradConvolution& plan, const ConvolutionShape& shape,
                            const float* dy, float* scratch, float* dx) {
  backward_in<Float8>(plan, shape, dy, scratch, dx);
}
#endif

/// u of one output and input channel: its (stride²) phases' points, from its kernel.
template <class Scheme>
void transform_weights(const float* kernel, float (*u)[Scheme::kPoints * Scheme::kPoints]) {
  constexpr int kTaps = Scheme::kTaps;
  constexpr int kStride = Scheme::kStride;
  for (int phase = 0; phase < kStride * kStride; ++phase) {
    float g[kTaps * kTaps];
    for (int i = 0; i < kTaps * kTaps; ++i) {
      const int row = phase / kStride + i / kTaps * kStride;
      const int column = phase % kStride + i % kTaps * kStride;
      g[i] = kernel[row * Scheme::kKernel + column];
    }
    in_both_dimensions<kTaps, Scheme::kPoints>(
        g, u[phase], [](const float* from, float* to) { Scheme::weights(from, to); });
  }
}

template <class Scheme>
void transform_all_weights(const ConvolutionShape& shape, const float* weights, float* forward,
                           float* backward) {
  constexpr std::int64_t kPhases = std::int64_t{Scheme::kStride} * Scheme::kStride;
  constexpr std::int64_t kAllPoints = std::int64_t{Scheme::kPoints} * Scheme::kPoints;
  const std::int64_t in = shape.in_channels;
  const std::int64_t out = shape.out_channels;
  const std::int64_t inner = kPhases * in;
  for (std::int64_t o = 0; o < out; ++o) {
    for (std::int64_t c = 0; c < in; ++c) {
      float u[kPhases][kAllPoints];
      transform_weights<Scheme>(weights + (o * in + c) * Scheme::kKernel * Scheme::kKernel, u);
      for (std::int64_t phase = 0; phase < kPhases; ++phase) {
        const std::int64_t k = phase * in + c;
        for (std::int64_t point = 0; point < kAllPoints; ++point) {
          forward[point * inner * out + place_in_panels(inner, k, o)] = u[phase][point];
          backward[point * inner * out + place_in_panels(out, o, k)] = u[phase][point];
        }
      }
    }
  }
}

}  // namespace

bool WinogradConvolution::can_do(const ConvolutionShape& shape) {
  const std::int64_t phases = std::int64_t{shape.stride} * shape.stride;
  return (is(shape, ThreeTaps()) || is(shape, FourTapsStrideTwo())) &&
         shape.padding < shape.kernel && shape.in_channels % 16 == 0 &&
         phases * shape.in_channels % kPanel == 0 && shape.out_channels % kPanel == 0;
}

WinogradConvolution::WinogradConvolution(const ConvolutionShape& shape)
    : shape_(shape),
      points_(is(shape, ThreeTaps()) ? ThreeTaps::kPoints * ThreeTaps::kPoints
                                     : FourTapsStrideTwo::kPoints * FourTapsStrideTwo::kPoints),
      phases_(std::int64_t{shape.stride} * shape.stride),
      forward_(
          static_cast<std::size_t>(points_ * phases_ * shape.in_channels * shape.out_channels)),
      backward_(forward_.size()) {
  constexpr std::int64_t kCacheValues = 98304;  // of v and m: three eighths of a megabyte
  const std::int64_t a_tile =
      points_ * (phases_ * shape.in_channels + shape.out_channels + 2 * kApart);
  const std::int64_t tiles =
      std::int64_t{shape.images} * ((shape.out_height() + 1) / 2) * ((shape.out_width() + 1) / 2);
  const std::int64_t blocks = (tiles * a_tile + kCacheValues - 1) / kCacheValues;
  tiles_at_once_ = (tiles + blocks - 1) / blocks;
}

void WinogradConvolution::set(const float* weights) {
  if (is(shape_, ThreeTaps())) {
    transform_all_weights<ThreeTaps>(shape_, weights, forward_.data(), backward_.data());
  } else {
    transform_all_weights<FourTapsStrideTwo>(shape_, weights, forward_.data(), backward_.data());
  }
}

std::int64_t WinogradConvolution::scratch_values() const {
  const std::int64_t in = shape_.in_channels;
  const std::int64_t out = shape_.out_channels;
  return points_ * tiles_at_once_ * (phases_ * in + out + 2 * kApart) + in + out;
}

void WinogradConvolution::forward(const float* x, const float* bias, float slope, float* scratch,
                                  float* y, int lanes) const {
#if defined(__x86_64__)
  if (lanes == 16) {
    return forward_avx512(*this, shape_, x, bias, slope, scratch, y);
  }
  if (lanes == 8) {
    return forward_avx2(*this, shape_, x, bias, slope, scratch, y);
  }
#endif
  forward_in<Float4>(*this, shape_, x, bias, slope, scratch, y);
}

void WinogradConvolution::backward(const float* dy, float* scratch, float* dx, int lanes) const {
#if defined(__x86_64__)
  if (lanes == 16) {
    return backward_avx512(*this, shape_, dy, scratch, dx);
  }
  if (lanes == 8) {
    return backward_avx2(*this, shape_, dy, scratch, dx);
  }
#endif
  backward_in<Float4>(*this, shape_, dy, scratch, dx);
}

}  // namespace ebm
