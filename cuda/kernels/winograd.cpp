#include "cuda/kernels/winograd.h"

#include <algorithm>

#include "cuda/kernels/panel_product.h"
#include "cuda/kernels/winograd_schemes.h"

namespace ebm {
namespace {

/// Matrices' rows are this much longer than their contents, so that what has the same place in
/// several rows or points is not in the same set of a cache.
constexpr std::int64_t kApart = 16;

/// Arrays of vectors from and to place(0), place(1), …: unrolled, so that they may be registers.
template <int count, class Lanes, class Place>
EBM_HOST_DEVICE void load_each(const Place& place, Lanes (&values)[count]) {
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) {
    load(place(i), values[i]);
  }
}
template <int count, class Lanes, class Place>
EBM_HOST_DEVICE void store_each(const Place& place, const Lanes (&values)[count]) {
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) {
    store(place(i), values[i]);
  }
}

std::int64_t divided_up(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }

/// `count` places from `first` on, a step apart, along a dimension of `size`; −1 for those outside.
template <int count>
EBM_HOST_DEVICE void places_along(std::int64_t first, std::int64_t size, std::int64_t step,
                                  std::int64_t (&places)[count]) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = first + i;
    places[i] = at >= 0 && at < size ? at * step : -1;
  }
}

/// Where the pixels of a square that begins at (top, left) of an image are, row by row.
template <int side, class Pointer>
EBM_HOST_DEVICE void places_of_square(Pointer image, std::int64_t top, std::int64_t left,
                                      std::int64_t height, std::int64_t width,
                                      std::int64_t channels, Pointer outside,
                                      Pointer (&places)[side * side]) {
  std::int64_t row_at[side];
  std::int64_t column_at[side];
  places_along(top, height, width * channels, row_at);
  places_along(left, width, channels, column_at);
  for (int i = 0; i < side; ++i) {
    for (int j = 0; j < side; ++j) {
      const bool inside = row_at[i] >= 0 && column_at[j] >= 0;
      places[i * side + j] = inside ? image + row_at[i] + column_at[j] : outside;
    }
  }
}

}  // namespace

/// The passes with one kind of vectors, by one scheme in both dimensions.
template <class Lanes, class Scheme, int stride>
struct WinogradPasses {
  static constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);
  static constexpr int kTile = Scheme::kOutputs;
  static constexpr int kWindow = Scheme::kPoints;  // inputs of a tile in one phase; points too
  static constexpr int kPoints = kWindow * kWindow;
  static constexpr int kPatch = kWindow * stride;

  const WinogradConvolution& plan;
  const ConvolutionShape shape = plan.shape_;
  const std::int64_t in = shape.in_channels;
  const std::int64_t out = shape.out_channels;
  const std::int64_t tile_rows = divided_up(shape.out_height(), kTile);
  const std::int64_t tile_columns = divided_up(shape.out_width(), kTile);
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
    const std::int64_t row = tile / tile_columns % tile_rows * kTile * stride;
    const std::int64_t column = tile % tile_columns * kTile * stride;
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

  /// Whether strides or a lack of padding leave pixels that no output depends on.
  EBM_HOST_DEVICE bool has_unread_inputs() const {
    const auto end = [](std::int64_t tiles_along) {
      return ((tiles_along - 1) * kTile + kWindow) * stride;
    };
    return end(tile_rows) - shape.padding < shape.height ||
           end(tile_columns) - shape.padding < shape.width;
  }

  /// The places in a patch of one phase's inputs.
  EBM_HOST_DEVICE static int in_phase(int phase, int i) {
    const int row = phase / stride + i / kWindow * stride;
    const int column = phase % stride + i % kWindow * stride;
    return row * kPatch + column;
  }

  EBM_HOST_DEVICE void transform_inputs(std::int64_t tile, const float* x, const float* zeros,
                                        float* v) const {
    const float* places[kPatch * kPatch];
    places_of_inputs(tile, x, zeros, places);
    for (int phase = 0; phase < stride * stride; ++phase) {
      for (std::int64_t channel = 0; channel < in; channel += kLanes) {
        Lanes d[kPoints];
        load_each([&](int i) { return places[in_phase(phase, i)] + channel; }, d);
        Lanes points[kPoints];
        in_both_dimensions<kWindow, kWindow>(
            d, points, [](const Lanes* from, Lanes* to) { Scheme::inputs(from, to); });
        store_each([&](int point) { return v + point * v_point + phase * in + channel; }, points);
      }
    }
  }

  /// Every pixel's first contribution, as tiles follow each other, is stored, others are added.
  EBM_HOST_DEVICE void transform_inputs_back(std::int64_t tile, const float* dv, float* outside,
                                             float* dx) const {
    float* places[kPatch * kPatch];
    places_of_inputs(tile, dx, outside, places);
    const bool is_first_row = tile / tile_columns % tile_rows == 0;
    const bool is_first_column = tile % tile_columns == 0;
    for (int phase = 0; phase < stride * stride; ++phase) {
      for (std::int64_t channel = 0; channel < in; channel += kLanes) {
        Lanes points[kPoints];
        load_each([&](int point) { return dv + point * v_point + phase * in + channel; }, points);
        Lanes d[kPoints];
        in_both_dimensions<kWindow, kWindow>(
            points, d, [](const Lanes* from, Lanes* to) { Scheme::inputs_back(from, to); });
#pragma GCC unroll 32
        for (int i = 0; i < kPoints; ++i) {
          const bool shared_row = i / kWindow < kWindow - kTile;
          const bool shared_column = i % kWindow < kWindow - kTile;
          float* place = places[in_phase(phase, i)] + channel;
          if ((shared_row && !is_first_row) || (shared_column && !is_first_column)) {
            Lanes before;
            load(place, before);
            d[i] += before;
          }
          store(place, d[i]);
        }
      }
    }
  }

  EBM_HOST_DEVICE void transform_outputs(std::int64_t tile, const float* m, const float* bias,
                                         float slope, float* outside, float* y) const {
    float* places[kTile * kTile];
    places_of_outputs(tile, y, outside, places);
    for (std::int64_t channel = 0; channel < out; channel += kLanes) {
      Lanes points[kPoints];
      load_each([&](int point) { return m + point * m_point + channel; }, points);
      Lanes of_tile[kTile * kTile];
      in_both_dimensions<kWindow, kTile>(
          points, of_tile, [](const Lanes* from, Lanes* to) { Scheme::outputs(from, to); });
      Lanes constant;
      load(bias + channel, constant);
      for (Lanes& sum : of_tile) {
        sum += constant;
        sum = sum > 0.0F ? sum : slope * sum;
      }
      store_each([&](int i) { return places[i] + channel; }, of_tile);
    }
  }

  EBM_HOST_DEVICE void transform_outputs_back(std::int64_t tile, const float* dy, const float* y,
                                              float slope, const float* zeros, float* dm) const {
    const float* places[kTile * kTile];
    places_of_outputs(tile, dy, zeros, places);
    const float* y_places[kTile * kTile];
    places_of_outputs(tile, y, zeros, y_places);
    for (std::int64_t channel = 0; channel < out; channel += kLanes) {
      Lanes of_tile[kTile * kTile];
      load_each([&](int i) { return places[i] + channel; }, of_tile);
      if (slope != 1) {
        Lanes y_of_tile[kTile * kTile];
        load_each([&](int i) { return y_places[i] + channel; }, y_of_tile);
        for (int i = 0; i < kTile * kTile; ++i) {
          of_tile[i] = y_of_tile[i] > 0.0F ? of_tile[i] : slope * of_tile[i];
        }
      }
      Lanes points[kPoints];
      in_both_dimensions<kTile, kWindow>(
          of_tile, points, [](const Lanes* from, Lanes* to) { Scheme::outputs_back(from, to); });
      store_each([&](int point) { return dm + point * m_point + channel; }, points);
    }
  }

  EBM_HOST_DEVICE void forward(const float* x, const float* bias, float slope, float* scratch,
                               float* y) const {
    float* v = scratch;
    float* m = v + kPoints * v_point;
    float* outside = m + kPoints * m_point;
    std::fill_n(outside, in, 0.0F);
    for (std::int64_t first = 0; first < tiles; first += plan.tiles_at_once_) {
      const std::int64_t count = std::min(plan.tiles_at_once_, tiles - first);
      for (std::int64_t i = 0; i < count; ++i) {
        transform_inputs(first + i, x, outside, v + i * v_row);
      }
      for (std::int64_t point = 0; point < kPoints; ++point) {
        panel_product(count, inner, out, v + point * v_point, v_row,
                      plan.forward_.data() + point * plan.u_point_, m + point * m_point, m_row,
                      kLanes);
      }
      for (std::int64_t i = 0; i < count; ++i) {
        transform_outputs(first + i, m + i * m_row, bias, slope, outside + in, y);
      }
    }
  }

  EBM_HOST_DEVICE void backward(const float* dy, const float* y, float slope, float* scratch,
                                float* dx) const {
    float* dv = scratch;
    float* dm = dv + kPoints * v_point;
    float* outside = dm + kPoints * m_point;
    std::fill_n(outside, out, 0.0F);
    if (has_unread_inputs()) {
      std::fill_n(dx, in * shape.images * shape.height * shape.width, 0.0F);
    }
    for (std::int64_t first = 0; first < tiles; first += plan.tiles_at_once_) {
      const std::int64_t count = std::min(plan.tiles_at_once_, tiles - first);
      for (std::int64_t i = 0; i < count; ++i) {
        transform_outputs_back(first + i, dy, y, slope, outside, dm + i * m_row);
      }
      for (std::int64_t point = 0; point < kPoints; ++point) {
        panel_product(count, out, inner, dm + point * m_point, m_row,
                      plan.backward_.data() + point * plan.u_point_, dv + point * v_point, v_row,
                      kLanes);
      }
      for (std::int64_t i = 0; i < count; ++i) {
        transform_inputs_back(first + i, dv + i * v_row, outside + out, dx);
      }
    }
  }
};

namespace {

template <class Lanes>
EBM_HOST_DEVICE void forward_in(const WinogradConvolution& plan, int stride, int tile,
                                const float* x, const float* bias, float slope, float* scratch,
                                float* y) {
  if (stride == 1) {
    WinogradPasses<Lanes, TwoOutputsThreeTaps, 1>{plan}.forward(x, bias, slope, scratch, y);
  } else if (tile == 2) {
    WinogradPasses<Lanes, TwoOutputsTwoTaps, 2>{plan}.forward(x, bias, slope, scratch, y);
  } else {
    WinogradPasses<Lanes, FourOutputsTwoTaps, 2>{plan}.forward(x, bias, slope, scratch, y);
  }
}

template <class Lanes>
EBM_HOST_DEVICE void backward_in(const WinogradConvolution& plan, int stride, int tile,
                                 const float* dy, const float* y, float slope, float* scratch,
                                 float* dx) {
  if (stride == 1) {
    WinogradPasses<Lanes, TwoOutputsThreeTaps, 1>{plan}.backward(dy, y, slope, scratch, dx);
  } else if (tile == 2) {
    WinogradPasses<Lanes, TwoOutputsTwoTaps, 2>{plan}.backward(dy, y, slope, scratch, dx);
  } else {
    WinogradPasses<Lanes, FourOutputsTwoTaps, 2>{plan}.backward(dy, y, slope, scratch, dx);
  }
}

#if defined(__x86_64__)
EBM_AVX512 void forward_avx512(const WinogradConvolution& plan, int stride, int tile,
                               const float* x, const float* bias, float slope, float* scratch,
                               float* y) {
  forward_in<Float16>(plan, stride, tile, x, bias, slope, scratch, y);
}
EBM_AVX2 void forward_avx2(const WinogradConvolution& plan, int stride, int tile, const float* x,
                           const float* bias, float slope, float* scratch, float* y) {
  forward_in<Float8>(plan, stride, tile, x, bias, slope, scratch, y);
}
EBM_AVX512 void backward_avx512(const WinogradConvolution& plan, int stride, int tile,
                                const float* dy, const float* y, float slope, float* scratch,
                                float* dx) {
  backward_in<Float16>(plan, stride, tile, dy, y, slope, scratch, dx);
}
EBM_AVX2 void backward_avx2(const WinogradConvolution& plan, int stride, int tile, const float* dy,
                            const float* y, float slope, float* scratch, float* dx) {
  backward_in<Float8>(plan, stride, tile, dy, y, slope, scratch, dx);
}
#endif

/// u of a vector's lanes of kernels that are `apart` values from one to the next, stored for each
/// phase at to(phase, point).
template <class Scheme, int stride, class Place>
void transform_kernels(const float* kernels, std::int64_t apart, const Place& to) {
  constexpr int kTaps = Scheme::kTaps;
  constexpr int kPoints = Scheme::kPoints * Scheme::kPoints;
  for (int phase = 0; phase < stride * stride; ++phase) {
    Float4 g[kTaps * kTaps];
    for (int i = 0; i < kTaps * kTaps; ++i) {
      const std::int64_t row = phase / stride + i / kTaps * stride;
      const std::int64_t column = phase % stride + i % kTaps * stride;
      const float* tap = kernels + row * kTaps * stride + column;
      g[i] = Float4{tap[0], tap[apart], tap[2 * apart], tap[3 * apart]};
    }
    Float4 u[kPoints];
    in_both_dimensions<kTaps, Scheme::kPoints>(
        g, u, [](const Float4* from, Float4* out) { Scheme::weights(from, out); });
    for (int point = 0; point < kPoints; ++point) {
      store(to(phase, point), u[point]);
    }
  }
}

/// Every kernel's u into the panels of both passes, in each pass's own order: what is written next
/// lies next.
template <class Scheme, int stride>
void transform_weights(const ConvolutionShape& shape, std::int64_t u_point, const float* weights,
                       float* forward, float* backward) {
  constexpr std::int64_t kLanes = 4;
  const std::int64_t in = shape.in_channels;
  const std::int64_t out = shape.out_channels;
  const std::int64_t inner = std::int64_t{stride} * stride * in;
  const std::int64_t taps = std::int64_t{shape.kernel} * shape.kernel;
  for (std::int64_t panel = 0; panel < out; panel += kPanel) {
    for (std::int64_t c = 0; c < in; ++c) {
      for (std::int64_t o = panel; o < panel + kPanel; o += kLanes) {
        transform_kernels<Scheme, stride>(
            weights + (o * in + c) * taps, in * taps, [&](std::int64_t phase, std::int64_t point) {
              return forward + point * u_point + place_in_panels(inner, phase * in + c, o);
            });
      }
    }
  }
  for (std::int64_t c = 0; c < in; c += kLanes) {
    for (std::int64_t o = 0; o < out; ++o) {
      transform_kernels<Scheme, stride>(
          weights + (o * in + c) * taps, taps, [&](std::int64_t phase, std::int64_t point) {
            return backward + point * u_point + place_in_panels(out, o, phase * in + c);
          });
    }
  }
}

int points(int stride, int tile) {
  const int along = tile + (stride == 1 ? 3 : 2) - 1;
  return along * along;
}

std::int64_t count_tiles(const ConvolutionShape& shape, int tile) {
  return shape.images * divided_up(shape.out_height(), tile) * divided_up(shape.out_width(), tile);
}

/// The side of tiles that takes the least time. Larger ones need fewer multiplications, but more of
/// u, which comes from a cache that cores share: a value of it takes as long as kRows
/// multiplications. Taken as if there were always four images, so that an image's result is the
/// same among any number.
int best_tile(ConvolutionShape shape) {
  shape.images = 4;
  const auto cost = [&shape](int tile) {
    constexpr std::int64_t kRows = 10;
    return points(shape.stride, tile) * std::max(count_tiles(shape, tile), kRows);
  };
  return shape.stride == 2 && cost(4) < cost(2) ? 4 : 2;
}

}  // namespace

bool WinogradConvolution::can_do(const ConvolutionShape& shape) {
  const bool has_scheme =
      (shape.kernel == 3 && shape.stride == 1) || (shape.kernel == 4 && shape.stride == 2);
  const std::int64_t phases = std::int64_t{shape.stride} * shape.stride;
  return has_scheme && shape.padding < shape.kernel && shape.in_channels % 16 == 0 &&
         phases * shape.in_channels % kPanel == 0 && shape.out_channels % kPanel == 0;
}

WinogradConvolution::WinogradConvolution(const ConvolutionShape& shape)
    : WinogradConvolution(shape, best_tile(shape)) {}

WinogradConvolution::WinogradConvolution(const ConvolutionShape& shape, int tile)
    : shape_(shape),
      tile_(tile),
      points_(points(shape.stride, tile)),
      phases_(std::int64_t{shape.stride} * shape.stride),
      u_point_(phases_ * shape.in_channels * shape.out_channels + kApart),
      forward_(static_cast<std::size_t>(points_ * u_point_)),
      backward_(forward_.size()) {
  constexpr std::int64_t kCacheValues = 98304;  // of v and m: three eighths of a megabyte
  const std::int64_t a_tile =
      points_ * (phases_ * shape.in_channels + shape.out_channels + 2 * kApart);
  const std::int64_t tiles = count_tiles(shape, tile);
  tiles_at_once_ = divided_up(tiles, divided_up(tiles * a_tile, kCacheValues));
}

void WinogradConvolution::set(const float* weights) {
  const auto transform = shape_.stride == 1 ? transform_weights<TwoOutputsThreeTaps, 1>
                         : tile_ == 2       ? transform_weights<TwoOutputsTwoTaps, 2>
                                            : transform_weights<FourOutputsTwoTaps, 2>;
  transform(shape_, u_point_, weights, forward_.data(), backward_.data());
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
    return forward_avx512(*this, shape_.stride, tile_, x, bias, slope, scratch, y);
  }
  if (lanes == 8) {
    return forward_avx2(*this, shape_.stride, tile_, x, bias, slope, scratch, y);
  }
#endif
  forward_in<Float4>(*this, shape_.stride, tile_, x, bias, slope, scratch, y);
}

void WinogradConvolution::backward(const float* dy, const float* y, float slope, float* scratch,
                                   float* dx, int lanes) const {
#if defined(__x86_64__)
  if (lanes == 16) {
    return backward_avx512(*this, shape_.stride, tile_, dy, y, slope, scratch, dx);
  }
  if (lanes == 8) {
    return backward_avx2(*this, shape_.stride, tile_, dy, y, slope, scratch, dx);
  }
#endif
  backward_in<Float4>(*this, shape_.stride, tile_, dy, y, slope, scratch, dx);
}

}  // namespace ebm
