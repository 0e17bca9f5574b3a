#include "cuda/nn/cpu/winograd.h"

#include <algorithm>

#include "cuda/base/ceil_div.h"
#include "cuda/nn/cpu/panel_product.h"
#include "cuda/nn/cpu/winograd_passes.h"
#include "cuda/nn/cpu/winograd_schemes.h"

namespace ebm {
namespace {

/// pass(passes) with the passes of a convolution's scheme.
template <class Lanes, class Pass>
EBM_HOST_DEVICE void run_in(const WinogradConvolution& plan, int stride, int tile,
                            const Pass& pass) {
  if (stride == 1) {
    pass(WinogradPasses<Lanes, TwoOutputsThreeTaps, 1>{plan});
  } else if (tile == 2) {
    pass(WinogradPasses<Lanes, TwoOutputsTwoTaps, 2>{plan});
  } else {
    pass(WinogradPasses<Lanes, FourOutputsTwoTaps, 2>{plan});
  }
}

template <class Pass>
void run(const WinogradConvolution& plan, int stride, int tile, int lanes, const Pass& pass) {
  const auto work = [&]<class Lanes>() __attribute__((always_inline)) {
    run_in<Lanes>(plan, stride, tile, pass);
  };
  with_vectors(lanes, work);
}

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
  return std::int64_t{shape.images} * ceil_div(shape.out_height(), tile) *
         ceil_div(shape.out_width(), tile);
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

WinogradLayout::WinogradLayout(const ConvolutionShape& shape)
    : WinogradLayout(shape, best_tile(shape)) {}

WinogradLayout::WinogradLayout(const ConvolutionShape& shape, int side)
    : tile(side),
      points(ebm::points(shape.stride, side)),
      phases(std::int64_t{shape.stride} * shape.stride),
      u_point(phases * shape.in_channels * shape.out_channels + kRowPadding) {
  constexpr std::int64_t kCacheValues = 98304;  // of v and m: three eighths of a megabyte
  const std::int64_t a_tile =
      points * (phases * shape.in_channels + shape.out_channels + 2 * kRowPadding);
  const std::int64_t tiles = count_tiles(shape, side);
  tiles_at_once = ceil_div(tiles, ceil_div(tiles * a_tile, kCacheValues));
  scratch_values = tiles_at_once * a_tile + shape.in_channels + shape.out_channels;
}

WinogradConvolution::WinogradConvolution(const ConvolutionShape& shape,
                                         const WinogradLayout& layout)
    : shape_(shape),
      layout_(layout),
      forward_(static_cast<std::size_t>(layout.weight_values())),
      backward_(forward_.size()) {}

void WinogradConvolution::set(const float* weights) {
  const auto transform = shape_.stride == 1  ? transform_weights<TwoOutputsThreeTaps, 1>
                         : layout_.tile == 2 ? transform_weights<TwoOutputsTwoTaps, 2>
                                             : transform_weights<FourOutputsTwoTaps, 2>;
  transform(shape_, layout_.u_point, weights, forward_.data(), backward_.data());
}

void WinogradConvolution::forward(const float* x, const float* bias, float slope, float* scratch,
                                  float* y, int lanes) const {
  const auto pass = [&](const auto& passes) __attribute__((always_inline)) {
    passes.forward(x, bias, slope, scratch, y);
  };
  run(*this, shape_.stride, layout_.tile, lanes, pass);
}

void WinogradConvolution::backward(const float* dy, const float* y, float* scratch, float* dx,
                                   int lanes) const {
  const auto pass = [&](const auto& passes) __attribute__((always_inline)) {
    passes.backward(dy, y, scratch, dx);
  };
  run(*this, shape_.stride, layout_.tile, lanes, pass);
}

}  // namespace ebm
