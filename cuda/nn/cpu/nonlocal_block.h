// The non-local block on one thread, channels last: see layers/nonlocal.h.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/base/buffer.h"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/cpu/cpu_operation.h"

namespace ebm {

std::unique_ptr<CpuPlan> plan_nonlocal(const Operation& operation, const CpuTile& tile);

CpuBytes cpu_nonlocal_bytes(const Operation& operation, const CpuTile& tile);

/// The block's two convolutions.
struct NonlocalPlans {
  std::shared_ptr<ConvolutionPlan> qkv;
  std::shared_ptr<ConvolutionPlan> projection;
};

class NonlocalBlock final : public CpuOperation {
 public:
  /// dx must not be dy. The operation is borrowed.
  NonlocalBlock(const NonlocalPlans& plans, const Operation& operation, int images,
                const CpuMemory& memory);

  void forward() override;
  /// forward() must have run on the same x.
  void backward() override;
  /// The gradients of both convolutions, the first's first; backward() must have run.
  void weight_gradient(float* gradient) override;
  std::int64_t gradient_values() const override {
    return to_qkv_.gradient_values() + projection_.gradient_values();
  }
  void add_gradient(float* gradient, float* theta_gradient) override;

 private:
  static constexpr std::int64_t kNone = -1;

  const float* queries(std::int64_t image) const {
    return qkv_.data() + image * pixels_ * pool_.pixel_stride;
  }
  const float* keys(std::int64_t image) const {
    return pooled_.data() + image * keys_ * pool_.channels;
  }
  const float* values(std::int64_t image) const { return keys(image) + half_; }
  const float* attention_of(std::int64_t image);
  void attend(std::int64_t image);
  void attend_backward(std::int64_t image);
  void transpose(const float* matrix);

  const Operation& operation_;
  int images_;
  std::int64_t half_;    // k
  std::int64_t pixels_;  // N
  std::int64_t keys_;    // M
  CpuMemory memory_;
  PoolShape pool_;  // over φ and g side by side

  Buffer<float> qkv_;               // N × 3k: θ, φ, g
  Buffer<float> pooled_;            // M × 2k: K, V
  Buffer<std::uint8_t> argmax_;     // M × 2k
  std::int64_t attending_ = kNone;  // the image whose A is in attention_
  Buffer<float> attention_;         // N × M, of one image
  Buffer<float> attended_;          // N × k: A V
  Buffer<float> qkv_gradient_;      // and the same for gradients
  Buffer<float> pooled_gradient_;
  Buffer<float> attention_gradient_;
  Buffer<float> attended_gradient_;

  Buffer<float> transposed_;  // Kᵀ or Vᵀ of one image, k × M

  Convolution to_qkv_;
  Convolution projection_;
};

}  // namespace ebm
