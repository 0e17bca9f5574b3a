#include "cuda/nn/nonlocal_block.h"

#include <algorithm>

#include "cuda/kernels/softmax.cuh"

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

NonlocalPlan::NonlocalPlan(int images, const Shape& shape)
    : embed(std::make_shared<ConvolutionPlan>(
          pointwise(images, shape, shape.channels, 3 * (shape.channels / 2)), Epilogue::store)),
      merge(std::make_shared<ConvolutionPlan>(
          pointwise(images, shape, shape.channels / 2, shape.channels), Epilogue::add)) {}

NonlocalBlock::Product::Product(int images, std::int64_t rows, std::int64_t inner,
                                std::int64_t columns, const Operand& a, const Operand& b,
                                const Operand& c) {
  using dnnl::memory;
  const auto describe = [images](const Operand& operand, std::int64_t m, std::int64_t n) {
    const memory::dims strides = operand.transposed
                                     ? memory::dims{operand.image_stride, 1, operand.row_stride}
                                     : memory::dims{operand.image_stride, operand.row_stride, 1};
    return memory::desc({images, m, n}, memory::data_type::f32, strides);
  };
  const memory::desc da = describe(a, rows, inner);
  const memory::desc db = describe(b, inner, columns);
  const memory::desc dc = describe(c, rows, columns);
  dnnl::primitive_attr attribute;
  attribute.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::engine& engine = cpu_engine();
  const dnnl::matmul::primitive_desc plan({da, db, dc}, attribute, engine);
  multiply_ = dnnl::matmul(plan);
  arguments_ = {{DNNL_ARG_SRC, memory(da, engine, a.data)},
                {DNNL_ARG_WEIGHTS, memory(db, engine, b.data)},
                {DNNL_ARG_DST, memory(dc, engine, c.data)},
                {DNNL_ARG_SCRATCHPAD, memory(plan.scratchpad_desc(), engine)}};
}

NonlocalBlock::NonlocalBlock(const NonlocalPlan& plan, int images, const Shape& shape, float* x,
                             float* y, float* dx, float* dy)
    : images_(images),
      channels_(shape.channels),
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
      attention_(floats(images * pixels_ * keys_)),
      mixed_(floats(images * pixels_ * (channels_ / 2))),
      embedded_gradient_(embedded_.size()),
      pooled_gradient_(pooled_.size()),
      attention_gradient_(attention_.size()),
      mixed_gradient_(mixed_.size()),
      stream_(cpu_engine()),
      embed_(plan.embed, x, embedded_.data(), dx, embedded_gradient_.data()),
      merge_(plan.merge, mixed_.data(), y, mixed_gradient_.data(), dy),
      scores_(images, pixels_, channels_ / 2, keys_,
              {embedded_.data(), pixels_ * pool_.pixel_stride, pool_.pixel_stride, false},
              {pooled_.data(), keys_ * pool_.channels, pool_.channels, true},
              {attention_.data(), pixels_ * keys_, keys_, false}),
      mix_(images, pixels_, keys_, channels_ / 2,
           {attention_.data(), pixels_ * keys_, keys_, false},
           {pooled_.data() + channels_ / 2, keys_ * pool_.channels, pool_.channels, false},
           {mixed_.data(), pixels_ * (channels_ / 2), channels_ / 2, false}),
      d_attention_(images, pixels_, channels_ / 2, keys_,
                   {mixed_gradient_.data(), pixels_ * (channels_ / 2), channels_ / 2, false},
                   {pooled_.data() + channels_ / 2, keys_ * pool_.channels, pool_.channels, true},
                   {attention_gradient_.data(), pixels_ * keys_, keys_, false}),
      d_queries_(
          images, pixels_, keys_, channels_ / 2,
          {attention_gradient_.data(), pixels_ * keys_, keys_, false},
          {pooled_.data(), keys_ * pool_.channels, pool_.channels, false},
          {embedded_gradient_.data(), pixels_ * pool_.pixel_stride, pool_.pixel_stride, false}),
      d_keys_(images, keys_, pixels_, channels_ / 2,
              {attention_gradient_.data(), pixels_ * keys_, keys_, true},
              {embedded_.data(), pixels_ * pool_.pixel_stride, pool_.pixel_stride, false},
              {pooled_gradient_.data(), keys_ * pool_.channels, pool_.channels, false}),
      d_values_(images, keys_, pixels_, channels_ / 2,
                {attention_.data(), pixels_ * keys_, keys_, true},
                {mixed_gradient_.data(), pixels_ * (channels_ / 2), channels_ / 2, false},
                {pooled_gradient_.data() + channels_ / 2, keys_ * pool_.channels, pool_.channels,
                 false}) {}

void NonlocalBlock::forward() {
  embed_.forward();
  max_pool_forward(pool_, embedded_.data() + channels_ / 2, pooled_.data(), places_.data());
  scores_.run(stream_);
  softmax_forward(images_ * pixels_, keys_, attention_.data());
  mix_.run(stream_);
  std::copy_n(x_, images_ * pixels_ * channels_, y_);
  merge_.forward();
}

void NonlocalBlock::backward() {
  merge_.backward();
  d_attention_.run(stream_);
  softmax_backward(images_ * pixels_, keys_, attention_.data(), attention_gradient_.data());
  d_queries_.run(stream_);
  d_keys_.run(stream_);
  d_values_.run(stream_);
  max_pool_backward(pool_, pooled_gradient_.data(), places_.data(),
                    embedded_gradient_.data() + channels_ / 2);
  embed_.backward();
  const std::int64_t count = images_ * pixels_ * channels_;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    dx_[i] += dy_[i];
  }
}

void NonlocalBlock::weight_gradient() {
  merge_.weight_gradient();
  embed_.weight_gradient();
}

}  // namespace ebm
