#include "cuda/kernels/max_pool.cuh"

#include "cuda/device/cpu_clones.h"

namespace ebm {
namespace {

EBM_CPU_CLONES void pool_row(const LeakyRelu& after, int outputs, int channels, std::int64_t pixel,
                             std::int64_t row, const float* x, float* y, std::uint8_t* places) {
  const LeakyRelu f = after;
  for (int j = 0; j < outputs; ++j) {
    const float* corner = x + 2 * pixel * j;
    const std::int64_t out = std::int64_t{j} * channels;
#pragma omp simd
    for (int c = 0; c < channels; ++c) {
      y[out + c] =
          f(pool_maximum({{corner[c], corner[pixel + c], corner[row + c], corner[row + pixel + c]}},
                         places[out + c]));
    }
  }
}

EBM_CPU_CLONES void unpool_row(const LeakyRelu& after, int outputs, int channels,
                               std::int64_t pixel, std::int64_t row, const float* y,
                               const float* dy, const std::uint8_t* places, float* dx) {
  const LeakyRelu f = after;
  for (int j = 0; j < outputs; ++j) {
    float* corner = dx + 2 * pixel * j;
    const std::int64_t out = std::int64_t{j} * channels;
#pragma omp simd
    for (int c = 0; c < channels; ++c) {
      const float gradient = f.gradient(y[out + c], dy[out + c]);
      const std::uint8_t place = places[out + c];
      corner[c] = place == 0 ? gradient : 0.0F;
      corner[pixel + c] = place == 1 ? gradient : 0.0F;
      corner[row + c] = place == 2 ? gradient : 0.0F;
      corner[row + pixel + c] = place == 3 ? gradient : 0.0F;
    }
  }
}

}  // namespace

void max_pool_forward(const PoolShape& shape, const float* x, float* y, std::uint8_t* places) {
  const std::int64_t row = std::int64_t{shape.width} * shape.pixel_stride;
  const int outputs = shape.width / 2;
  const std::int64_t out_row = std::int64_t{outputs} * shape.channels;
  // Images are even in height, so the rows of a whole stack pair up without regard to images.
  const std::int64_t out_rows = std::int64_t{shape.images} * shape.height / 2;
  for (std::int64_t i = 0; i < out_rows; ++i) {
    pool_row(shape.after, outputs, shape.channels, shape.pixel_stride, row, x + 2 * i * row,
             y + i * out_row, places + i * out_row);
  }
}

void max_pool_backward(const PoolShape& shape, const float* y, const float* dy,
                       const std::uint8_t* places, float* dx) {
  const std::int64_t row = std::int64_t{shape.width} * shape.pixel_stride;
  const int outputs = shape.width / 2;
  const std::int64_t out_row = std::int64_t{outputs} * shape.channels;
  const std::int64_t out_rows = std::int64_t{shape.images} * shape.height / 2;
  for (std::int64_t i = 0; i < out_rows; ++i) {
    unpool_row(shape.after, outputs, shape.channels, shape.pixel_stride, row, y + i * out_row,
               dy + i * out_row, places + i * out_row, dx + 2 * i * row);
  }
}

}  // namespace ebm
