// The non-local block (Wang, Girshick, Gupta and He, "Non-local Neural Networks", CVPR 2018) on one
// thread, channels last.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/base/buffer.h"
#include "cuda/kernels/max_pool.cuh"
#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/network.h"

namespace ebm {

/// The block's two convolutions. θ, φ and g are one: their weights stacked, 3k output channels.
struct NonlocalPlan {
  NonlocalPlan(int images, const Shape& shape, OperandType factors);

  std::shared_ptr<ConvolutionPlan> embed;  ///< C → 3k: θ, then φ, then g
  std::shared_ptr<ConvolutionPlan> merge;  ///< W, k → C, added to the block's input
};

/// With k = C/2 channels, N pixels and M = N/4 pooled pixels:
///   Q = θ(x)  (N×k),  K = maxpool(φ(x))  (M×k),  V = maxpool(g(x))  (M×k),
///   A = softmax(Q Kᵀ) over the M keys,  y = x + W(A V).
class NonlocalBlock {
 public:
  /// x, y, dx, dy: images × pixels × channels, borrowed. dx must not be dy.
  NonlocalBlock(const NonlocalPlan& plan, int images, const Shape& shape, float* x, float* y,
                float* dx, float* dy);

  void forward();
  /// dx from dy; forward() must have run on the same x.
  void backward();
  /// The gradients of both convolutions, embed's first; backward() must have run.
  void weight_gradient(float* gradient);
  std::int64_t gradient_values() const {
    return embed_.gradient_values() + merge_.gradient_values();
  }
  /// For embed and merge to show such a gradient, or a sum of them, in θ's order.
  void reorder_to_plain(float* gradient);
  const Convolution& embed() const { return embed_; }
  const Convolution& merge() const { return merge_; }

 private:
  static constexpr std::int64_t kNone = -1;

  const float* queries(std::int64_t image) const {
    return embedded_.data() + image * pixels_ * pool_.pixel_stride;
  }
  const float* keys(std::int64_t image) const {
    return pooled_.data() + image * keys_ * pool_.channels;
  }
  const float* values(std::int64_t image) const { return keys(image) + half_; }
  const float* attention_of(std::int64_t image);
  void attend(std::int64_t image);
  void attend_backward(std::int64_t image);
  void turn(const float* matrix);

  int images_;
  std::int64_t channels_;
  std::int64_t half_;    // k
  std::int64_t pixels_;  // N
  std::int64_t keys_;    // M
  float* x_;
  float* y_;
  float* dx_;
  float* dy_;
  PoolShape pool_;  // over φ and g side by side

  Buffer<float> embedded_;           // N × 3k: θ, φ, g
  Buffer<float> pooled_;             // M × 2k: K, V
  Buffer<std::uint8_t> places_;      // M × 2k
  std::int64_t attending_ = kNone;   // the image whose A is in attention_
  Buffer<float> attention_;          // N × M, of one image
  Buffer<float> mixed_;              // N × k: A V
  Buffer<float> embedded_gradient_;  // and the same for gradients
  Buffer<float> pooled_gradient_;
  Buffer<float> attention_gradient_;
  Buffer<float> mixed_gradient_;

  Buffer<float> turned_;  // Kᵀ or Vᵀ of one image, k × M

  Convolution embed_;
  Convolution merge_;
};

}  // namespace ebm
