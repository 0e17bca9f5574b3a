// The passes of a convolution by Winograd's algorithm on one CPU thread; see winograd.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/base/ceil_div.h"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/cpu/panel_product.h"
#include "cuda/nn/cpu/winograd.h"
#include "cuda/nn/cpu/winograd_schemes.h"

namespace ebm {

/// Matrices' rows are this much longer than their contents, so that what has the same place in
/// several rows or points is not in the same set of a cache.
inline constexpr std::int64_t kRowPadding = 16;

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
  const std::int64_t tile_rows = ceil_div(shape.out_height(), kTile);
  const std::int64_t tile_columns = ceil_div(shape.out_width(), kTile);
  const std::int64_t tiles = shape.images * tile_rows * tile_columns;
  const std::int64_t inner = plan.layout_.phases * in;  // channels of v
  const std::int64_t v_row = inner + kRowPadding;
  const std::int64_t m_row = out + kRowPadding;
  const std::int64_t v_point = plan.layout_.tiles_at_once * v_row;
  const std::int64_t m_point = plan.layout_.tiles_at_once * m_row;

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
                                              const float* zeros, float* dm) const {
    const float* places[kTile * kTile];
    const float* y_places[kTile * kTile] = {};
    places_of_outputs(tile, dy, zeros, places);
    if (y != nullptr) {
      places_of_outputs(tile, y, zeros, y_places);
    }
    for (std::int64_t channel = 0; channel < out; channel += kLanes) {
      Lanes of_tile[kTile * kTile];
      load_each([&](int i) { return places[i] + channel; }, of_tile);
      if (y != nullptr) {
        Lanes y_of_tile[kTile * kTile];
        load_each([&](int i) { return y_places[i] + channel; }, y_of_tile);
        for (int i = 0; i < kTile * kTile; ++i) {
          of_tile[i] = y_of_tile[i] > 0.0F ? of_tile[i] : kLeakySlope * of_tile[i];
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
    for (std::int64_t first = 0; first < tiles; first += plan.layout_.tiles_at_once) {
      const std::int64_t count = std::min(plan.layout_.tiles_at_once, tiles - first);
      for (std::int64_t i = 0; i < count; ++i) {
        transform_inputs(first + i, x, outside, v + i * v_row);
      }
      for (std::int64_t point = 0; point < kPoints; ++point) {
        panel_product(count, inner, out, v + point * v_point, v_row,
                      plan.forward_.data() + point * plan.layout_.u_point, m + point * m_point,
                      m_row, kLanes);
      }
      for (std::int64_t i = 0; i < count; ++i) {
        transform_outputs(first + i, m + i * m_row, bias, slope, outside + in, y);
      }
    }
  }

  EBM_HOST_DEVICE void backward(const float* dy, const float* y, float* scratch, float* dx) const {
    float* dv = scratch;
    float* dm = dv + kPoints * v_point;
    float* outside = dm + kPoints * m_point;
    std::fill_n(outside, out, 0.0F);
    if (has_unread_inputs()) {
      std::fill_n(dx, in * shape.images * shape.height * shape.width, 0.0F);
    }
    for (std::int64_t first = 0; first < tiles; first += plan.layout_.tiles_at_once) {
      const std::int64_t count = std::min(plan.layout_.tiles_at_once, tiles - first);
      for (std::int64_t i = 0; i < count; ++i) {
        transform_outputs_back(first + i, dy, y, outside, dm + i * m_row);
      }
      for (std::int64_t point = 0; point < kPoints; ++point) {
        panel_product(count, out, inner, dm + point * m_point, m_row,
                      plan.backward_.data() + point * plan.layout_.u_point, dv + point * v_point,
                      v_row, kLanes);
      }
      for (std::int64_t i = 0; i < count; ++i) {
        transform_inputs_back(first + i, dv + i * v_row, outside + out, dx);
      }
    }
  }
};

}  // namespace ebm
