#include "cuda/kernels/max_pool.cuh"

#include "cuda/base/cpu_clones.h"
#ifdef __CUDACC__
#include <numeric>

#include "cuda/device/bfloat16.cuh"
#include "cuda/device/packs.cuh"
#endif

namespace ebm {
namespace {

EBM_CPU_CLONES void pool_row(const LeakyRelu& after, int outputs, int channels, std::int64_t pixel,
                             std::int64_t row, const float* x, float* y, std::uint8_t* argmax) {
  const LeakyRelu f = after;
  for (int j = 0; j < outputs; ++j) {
    const float* corner = x + 2 * pixel * j;
    const std::int64_t out = std::int64_t{j} * channels;
#pragma omp simd
    for (int c = 0; c < channels; ++c) {
      y[out + c] =
          f(pool_maximum({{corner[c], corner[pixel + c], corner[row + c], corner[row + pixel + c]}},
                         argmax[out + c]));
    }
  }
}

EBM_CPU_CLONES void unpool_row(const LeakyRelu& after, int outputs, int channels,
                               std::int64_t pixel, std::int64_t row, const float* y,
                               const float* dy, const std::uint8_t* argmax, float* dx) {
  const LeakyRelu f = after;
  for (int j = 0; j < outputs; ++j) {
    float* corner = dx + 2 * pixel * j;
    const std::int64_t out = std::int64_t{j} * channels;
#pragma omp simd
    for (int c = 0; c < channels; ++c) {
      const float gradient = f.gradient(y[out + c], dy[out + c]);
      const std::uint8_t place = argmax[out + c];
      corner[c] = place == 0 ? gradient : 0.0F;
      corner[pixel + c] = place == 1 ? gradient : 0.0F;
      corner[row + c] = place == 2 ? gradient : 0.0F;
      corner[row + pixel + c] = place == 3 ? gradient : 0.0F;
    }
  }
}

}  // namespace

void max_pool_forward(const PoolShape& shape, const float* x, float* y, std::uint8_t* argmax) {
  const std::int64_t row = std::int64_t{shape.width} * shape.pixel_stride;
  const int outputs = shape.width / 2;
  const std::int64_t out_row = std::int64_t{outputs} * shape.channels;
  // Images are even in height, so the rows of a whole stack pair up without regard to images.
  const std::int64_t out_rows = std::int64_t{shape.images} * shape.height / 2;
  for (std::int64_t i = 0; i < out_rows; ++i) {
    pool_row(shape.after, outputs, shape.channels, shape.pixel_stride, row, x + 2 * i * row,
             y + i * out_row, argmax + i * out_row);
  }
}

void max_pool_backward(const PoolShape& shape, const float* y, const float* dy,
                       const std::uint8_t* argmax, float* dx) {
  const std::int64_t row = std::int64_t{shape.width} * shape.pixel_stride;
  const int outputs = shape.width / 2;
  const std::int64_t out_row = std::int64_t{outputs} * shape.channels;
  const std::int64_t out_rows = std::int64_t{shape.images} * shape.height / 2;
  for (std::int64_t i = 0; i < out_rows; ++i) {
    unpool_row(shape.after, outputs, shape.channels, shape.pixel_stride, row, y + i * out_row,
               dy + i * out_row, argmax + i * out_row, dx + 2 * i * row);
  }
}

#ifdef __CUDACC__
namespace {

/// Places in memory of one output and the four inputs of its window.
struct PoolPlaces {
  std::uint32_t outputs;  // of a row
  std::int64_t channels;
  std::int64_t pixel;  // from one input to the next
  std::int64_t row;

  explicit PoolPlaces(const PoolShape& shape)
      : outputs(static_cast<std::uint32_t>(shape.width / 2)),
        channels(shape.channels),
        pixel(shape.pixel_stride),
        row(std::int64_t{shape.width} * shape.pixel_stride) {}

  /// The corner of an output's window. As images are even in height, outputs are counted through
  /// all of them.
  EBM_HOST_DEVICE std::int64_t corner(std::int64_t output, std::int64_t channel) const {
    const std::int64_t i = static_cast<std::uint32_t>(output) / outputs;
    const std::int64_t j = static_cast<std::uint32_t>(output) % outputs;
    return 2 * (i * row + j * pixel) + channel;
  }
  EBM_HOST_DEVICE std::int64_t input(std::int64_t corner, int place) const {
    return corner + (place / 2) * row + (place % 2) * pixel;
  }
};

template <class T, int count>
struct PoolBody {
  PoolPlaces at;
  LeakyRelu after;
  const T* x;
  T* y;
  std::uint8_t* argmax;

  EBM_HOST_DEVICE void operator()(std::int64_t output, std::int64_t pack) const {
    const std::int64_t channel = pack * count;
    const std::int64_t corner = at.corner(output, channel);
    Floats<count> window[4];
    for (int place = 0; place < 4; ++place) {
      window[place] = load_pack<count>(x + at.input(corner, place));
    }
    Floats<count> largest;
    Pack<std::uint8_t, count> winners;
    for (int k = 0; k < count; ++k) {
      largest.v[k] = after(pool_maximum(
          {{window[0].v[k], window[1].v[k], window[2].v[k], window[3].v[k]}}, winners.v[k]));
    }
    const std::int64_t out = output * at.channels + channel;
    store_pack(y + out, largest);
    *reinterpret_cast<Pack<std::uint8_t, count>*>(argmax + out) = winners;
  }
};

/// A pack of one input pixel: neighbouring threads write neighbours, and what they read of
/// the window that they share is in the cache.
template <class T, int count>
struct UnpoolBody {
  std::uint32_t width;
  std::int64_t channels;
  std::int64_t pixel_stride;
  LeakyRelu after;
  const T* y;
  const T* dy;
  const std::uint8_t* argmax;
  T* dx;

  EBM_HOST_DEVICE void operator()(std::int64_t pixel, std::int64_t pack) const {
    const std::uint32_t row = static_cast<std::uint32_t>(pixel) / width;
    const std::uint32_t column = static_cast<std::uint32_t>(pixel) % width;
    const auto place = static_cast<std::uint8_t>(row % 2 * 2 + column % 2);
    // As images are even in height, rows of a whole stack pair up.
    const std::int64_t output = std::int64_t{row / 2} * (width / 2) + column / 2;
    const std::int64_t out = output * channels + pack * count;
    const Floats<count> outputs = load_pack<count>(y + out);
    const auto winners = *reinterpret_cast<const Pack<std::uint8_t, count>*>(argmax + out);
    Floats<count> gradient = load_pack<count>(dy + out);
    for (int k = 0; k < count; ++k) {
      gradient.v[k] = winners.v[k] == place ? after.gradient(outputs.v[k], gradient.v[k]) : 0.0F;
    }
    store_pack(dx + pixel * pixel_stride + pack * count, gradient);
  }
};

std::int64_t outputs_of(const PoolShape& shape) {
  return std::int64_t{shape.images} * (shape.height / 2) * (shape.width / 2);
}

/// Packs must not cross from one pixel to the next, in the input nor in the output.
std::int64_t run_of_values(const PoolShape& shape) {
  return std::gcd(shape.channels, shape.pixel_stride);
}

}  // namespace

template <class T>
void max_pool_forward(const CudaStream& stream, const PoolShape& shape, const T* x, T* y,
                      std::uint8_t* argmax) {
  with_widest_pack<T>(
      run_of_values(shape),
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_cell(stream, outputs_of(shape), shape.channels / kCount,
                      PoolBody<T, kCount>{PoolPlaces(shape), shape.after, x, y, argmax});
      },
      x, y, argmax);
}

template <class T>
void max_pool_backward(const CudaStream& stream, const PoolShape& shape, const T* y, const T* dy,
                       const std::uint8_t* argmax, T* dx) {
  with_widest_pack<T>(
      run_of_values(shape),
      [&](auto width) {
        constexpr int kCount = decltype(width)::value;
        for_each_cell(stream, 4 * outputs_of(shape), shape.channels / kCount,
                      UnpoolBody<T, kCount>{static_cast<std::uint32_t>(shape.width), shape.channels,
                                            shape.pixel_stride, shape.after, y, dy, argmax, dx});
      },
      y, dy, argmax, dx);
}

template void max_pool_forward(const CudaStream&, const PoolShape&, const float*, float*,
                               std::uint8_t*);
template void max_pool_forward(const CudaStream&, const PoolShape&, const Bfloat16*, Bfloat16*,
                               std::uint8_t*);
template void max_pool_backward(const CudaStream&, const PoolShape&, const float*, const float*,
                                const std::uint8_t*, float*);
template void max_pool_backward(const CudaStream&, const PoolShape&, const Bfloat16*,
                                const Bfloat16*, const std::uint8_t*, Bfloat16*);
#endif

}  // namespace ebm
