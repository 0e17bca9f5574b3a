#include "cuda/nn/cpu/nonlocal_block.h"

#include <algorithm>

#include "cuda/kernels/softmax.cuh"
#include "cuda/nn/cpu/convolution_operation.h"
#include "cuda/nn/cpu/small_product.h"
#include "cuda/nn/layers/nonlocal.h"

namespace ebm {
namespace {

class NonlocalPlan final : public CpuPlan {
 public:
  NonlocalPlan(const Operation& operation, const CpuTile& tile)
      : operation_(operation), images_(tile.chains) {
    const auto [qkv, projection] = nonlocal_convolutions(images_, operation.in);
    plans_ = {std::make_shared<ConvolutionPlan>(qkv, Epilogue::store, tile.factors),
              std::make_shared<ConvolutionPlan>(projection, Epilogue::add, tile.factors)};
  }

  void set_parameters(const float* theta) override {
    ebm::set_parameters(*plans_.qkv, qkv_parameters(operation_), theta);
    ebm::set_parameters(*plans_.projection, projection_parameters(operation_), theta);
  }
  std::unique_ptr<CpuOperation> bind(const CpuMemory& memory) const override {
    return std::make_unique<NonlocalBlock>(plans_, operation_, images_, memory);
  }

 private:
  Operation operation_;
  int images_;
  NonlocalPlans plans_;
};

Buffer<float> floats(std::int64_t count) { return Buffer<float>(static_cast<std::size_t>(count)); }

}  // namespace

NonlocalBlock::NonlocalBlock(const NonlocalPlans& plans, const Operation& operation, int images,
                             const CpuMemory& memory)
    : operation_(operation),
      images_(images),
      half_(operation.in.channels / 2),
      pixels_(pixels(operation.in)),
      keys_(pixels_ / 4),
      memory_(memory),
      pool_{.images = images,
            .height = operation.in.height,
            .width = operation.in.width,
            .channels = static_cast<int>(2 * half_),
            .pixel_stride = static_cast<int>(3 * half_)},
      qkv_(floats(images * pixels_ * pool_.pixel_stride)),
      pooled_(floats(images * keys_ * pool_.channels)),
      argmax_(pooled_.size()),
      attention_(floats(pixels_ * keys_)),
      attended_(floats(images * pixels_ * half_)),
      qkv_gradient_(qkv_.size()),
      pooled_gradient_(pooled_.size()),
      attention_gradient_(floats(pixels_ * keys_)),
      attended_gradient_(attended_.size()),
      transposed_(floats(half_ * keys_)),
      to_qkv_(plans.qkv, memory.x, qkv_.data(), memory.dx, qkv_gradient_.data()),
      projection_(plans.projection, attended_.data(), memory.y, attended_gradient_.data(),
                  memory.dy) {}

/// A = softmax(Q Kᵀ) of one image. It is computed again for the backward pass, to the same bits,
/// unless it is the image that came last: a whole tile's would be most of what a step touches.
const float* NonlocalBlock::attention_of(std::int64_t image) {
  if (image != attending_) {
    transpose(keys(image));
    small_product(pixels_, half_, keys_, {queries(image), pool_.pixel_stride},
                  {transposed_.data(), keys_}, attention_.data(), keys_);
    softmax_forward(pixels_, keys_, attention_.data());
    attending_ = image;
  }
  return attention_.data();
}

/// A V of one image.
void NonlocalBlock::attend(std::int64_t image) {
  small_product(pixels_, keys_, half_, {attention_of(image), keys_},
                {values(image), pool_.channels}, attended_.data() + image * pixels_ * half_, half_);
}

/// The gradients of Q, K and V of one image from that of A V.
void NonlocalBlock::attend_backward(std::int64_t image) {
  const std::int64_t wide = pool_.pixel_stride;
  const std::int64_t pooled = pool_.channels;
  const MatrixView attention{attention_of(image), keys_};
  const MatrixView d_attended{attended_gradient_.data() + image * pixels_ * half_, half_};
  float* d_queries = qkv_gradient_.data() + image * pixels_ * wide;
  float* d_keys = pooled_gradient_.data() + image * keys_ * pooled;
  float* d_values = d_keys + half_;
  float* d_scores = attention_gradient_.data();

  transpose(values(image));
  small_product(pixels_, half_, keys_, d_attended, {transposed_.data(), keys_}, d_scores, keys_);
  softmax_backward(pixels_, keys_, attention.data, d_scores);
  const MatrixView d_s{d_scores, keys_};
  small_product(pixels_, keys_, half_, d_s, {keys(image), pooled}, d_queries, wide);
  small_product(keys_, pixels_, half_, d_s.transposed(), {queries(image), wide}, d_keys, pooled);
  small_product(keys_, pixels_, half_, attention.transposed(), d_attended, d_values, pooled);
}

/// transposed_ = the transpose of one image's keys or values, so that products find its rows
/// adjacent.
void NonlocalBlock::transpose(const float* matrix) {
  for (std::int64_t key = 0; key < keys_; ++key) {
    for (std::int64_t c = 0; c < half_; ++c) {
      transposed_[static_cast<std::size_t>(c * keys_ + key)] = matrix[key * pool_.channels + c];
    }
  }
}

void NonlocalBlock::forward() {
  to_qkv_.forward();
  max_pool_forward(pool_, qkv_.data() + half_, pooled_.data(), argmax_.data());
  attending_ = kNone;
  for (std::int64_t image = 0; image < images_; ++image) {
    attend(image);
  }
  std::copy_n(memory_.x, images_ * operation_.in.size(), memory_.y);
  projection_.forward();
}

void NonlocalBlock::backward() {
  projection_.backward();
  for (std::int64_t image = images_; image-- > 0;) {
    attend_backward(image);
  }
  max_pool_backward(pool_, pooled_.data(), pooled_gradient_.data(), argmax_.data(),
                    qkv_gradient_.data() + half_);
  to_qkv_.backward();
  const std::int64_t count = images_ * operation_.in.size();
  float* const dx = memory_.dx;
  const float* const dy = memory_.dy;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    dx[i] += dy[i];
  }
}

void NonlocalBlock::weight_gradient(float* gradient) {
  to_qkv_.weight_gradient(gradient);
  projection_.weight_gradient(gradient + to_qkv_.gradient_values());
}

void NonlocalBlock::add_gradient(float* gradient, float* theta_gradient) {
  to_qkv_.reorder_to_plain(gradient);
  ebm::add_gradient(to_qkv_, qkv_parameters(operation_), theta_gradient);
  projection_.reorder_to_plain(gradient + to_qkv_.gradient_values());
  ebm::add_gradient(projection_, projection_parameters(operation_), theta_gradient);
}

std::unique_ptr<CpuPlan> plan_nonlocal(const Operation& operation, const CpuTile& tile) {
  return std::make_unique<NonlocalPlan>(operation, tile);
}

CpuBytes cpu_nonlocal_bytes(const Operation& operation, const CpuTile& tile) {
  const auto [qkv, projection] = nonlocal_convolutions(tile.chains, operation.in);
  const CpuBytes first = convolution_bytes(qkv, Epilogue::store, tile.factors);
  const CpuBytes last = convolution_bytes(projection, Epilogue::add, tile.factors);
  const std::int64_t half = operation.in.channels / 2;
  const std::int64_t all = pixels(operation.in);
  const std::int64_t keys = all / 4;
  // Values and gradients: Q, K, V before pooling and A V; pooled K, V; A of one image.
  const std::int64_t arrays = tile.chains * (all * 4 * half + keys * 2 * half) + all * keys;
  const std::int64_t argmax = tile.chains * keys * 2 * half;
  return {.shared = first.shared + last.shared,
          .own = first.own + last.own + 4 * (2 * arrays + half * keys) + argmax,
          .gradient = first.gradient + last.gradient};
}

}  // namespace ebm
