#include "cuda/nn/cpu/nonlocal_block.h"

#include <algorithm>

#include "cuda/kernels/softmax.cuh"
#include "cuda/nn/cpu/small_product.h"

namespace ebm {
namespace {

ConvolutionShape pointwise(int images, const Shape& shape, int in, int out) {
  return {.images = images,
          .in_channels = in,
          .height = shape.height,
          .width = shape.width,
          .out_channels = out};
}

Buffer<float> floats(std::int64_t count) { return Buffer<float>(static_cast<std::size_t>(count)); }

}  // namespace

NonlocalPlan::NonlocalPlan(int images, const Shape& shape, OperandType factors)
    : embed(std::make_shared<ConvolutionPlan>(
          pointwise(images, shape, shape.channels, 3 * (shape.channels / 2)), Epilogue::store,
          factors)),
      merge(std::make_shared<ConvolutionPlan>(
          pointwise(images, shape, shape.channels / 2, shape.channels), Epilogue::add, factors)) {}

NonlocalBlock::NonlocalBlock(const NonlocalPlan& plan, int images, const Shape& shape, float* x,
                             float* y, float* dx, float* dy)
    : images_(images),
      channels_(shape.channels),
      half_(channels_ / 2),
      pixels_(std::int64_t{shape.height} * shape.width),
      keys_(pixels_ / 4),
      x_(x),
      y_(y),
      dx_(dx),
      dy_(dy),
      pool_{.images = images,
            .height = shape.height,
            .width = shape.width,
            .channels = 2 * (shape.channels / 2),
            .pixel_stride = 3 * (shape.channels / 2)},
      embedded_(floats(images * pixels_ * pool_.pixel_stride)),
      pooled_(floats(images * keys_ * pool_.channels)),
      places_(pooled_.size()),
      attention_(floats(pixels_ * keys_)),
      mixed_(floats(images * pixels_ * half_)),
      embedded_gradient_(embedded_.size()),
      pooled_gradient_(pooled_.size()),
      attention_gradient_(floats(pixels_ * keys_)),
      mixed_gradient_(mixed_.size()),
      turned_(floats(half_ * keys_)),
      embed_(plan.embed, x, embedded_.data(), dx, embedded_gradient_.data()),
      merge_(plan.merge, mixed_.data(), y, mixed_gradient_.data(), dy) {}

/// A = softmax(Q Kᵀ) of one image. It is computed again for the backward pass, to the same bits,
/// unless it is the image that came last: a whole tile's would be most of what a step touches.
const float* NonlocalBlock::attention_of(std::int64_t image) {
  if (image != attending_) {
    turn(keys(image));
    small_product(pixels_, half_, keys_, {queries(image), pool_.pixel_stride},
                  {turned_.data(), keys_}, attention_.data(), keys_);
    softmax_forward(pixels_, keys_, attention_.data());
    attending_ = image;
  }
  return attention_.data();
}

/// A V of one image.
void NonlocalBlock::attend(std::int64_t image) {
  small_product(pixels_, keys_, half_, {attention_of(image), keys_},
                {values(image), pool_.channels}, mixed_.data() + image * pixels_ * half_, half_);
}

/// The gradients of Q, K and V of one image from that of A V.
void NonlocalBlock::attend_backward(std::int64_t image) {
  const std::int64_t wide = pool_.pixel_stride;
  const std::int64_t pooled = pool_.channels;
  const MatrixView attention{attention_of(image), keys_};
  const MatrixView d_mixed{mixed_gradient_.data() + image * pixels_ * half_, half_};
  float* d_queries = embedded_gradient_.data() + image * pixels_ * wide;
  float* d_keys = pooled_gradient_.data() + image * keys_ * pooled;
  float* d_values = d_keys + half_;
  float* d_scores = attention_gradient_.data();

  turn(values(image));
  small_product(pixels_, half_, keys_, d_mixed, {turned_.data(), keys_}, d_scores, keys_);
  softmax_backward(pixels_, keys_, attention.data, d_scores);
  const MatrixView d_s{d_scores, keys_};
  small_product(pixels_, keys_, half_, d_s, {keys(image), pooled}, d_queries, wide);
  small_product(keys_, pixels_, half_, d_s.transposed(), {queries(image), wide}, d_keys, pooled);
  small_product(keys_, pixels_, half_, attention.transposed(), d_mixed, d_values, pooled);
}

/// turned_ = the transpose of one image's keys or values, so that products find its rows adjacent.
void NonlocalBlock::turn(const float* matrix) {
  for (std::int64_t key = 0; key < keys_; ++key) {
    for (std::int64_t c = 0; c < half_; ++c) {
      turned_[static_cast<std::size_t>(c * keys_ + key)] = matrix[key * pool_.channels + c];
    }
  }
}

void NonlocalBlock::forward() {
  embed_.forward();
  max_pool_forward(pool_, embedded_.data() + half_, pooled_.data(), places_.data());
  attending_ = kNone;
  for (std::int64_t image = 0; image < images_; ++image) {
    attend(image);
  }
  std::copy_n(x_, images_ * pixels_ * channels_, y_);
  merge_.forward();
}

void NonlocalBlock::backward() {
  merge_.backward();
  for (std::int64_t image = images_; image-- > 0;) {
    attend_backward(image);
  }
  max_pool_backward(pool_, pooled_.data(), pooled_gradient_.data(), places_.data(),
                    embedded_gradient_.data() + half_);
  embed_.backward();
  const std::int64_t count = images_ * pixels_ * channels_;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    dx_[i] += dy_[i];
  }
}

void NonlocalBlock::weight_gradient(float* gradient) {
  embed_.weight_gradient(gradient);
  merge_.weight_gradient(gradient + embed_.gradient_values());
}

void NonlocalBlock::reorder_to_plain(float* gradient) {
  embed_.reorder_to_plain(gradient);
  merge_.reorder_to_plain(gradient + embed_.gradient_values());
}

}  // namespace ebm
