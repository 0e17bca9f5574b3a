// The attention inside a non-local block (Wang, Girshick, Gupta and He, "Non-local Neural
// Networks", CVPR 2018) on the device, without a matrix of attentions in memory. (On the CPU, where
// one image's matrix stays in cache, it is products and softmax.cuh: nn/nonlocal_block.cpp.)
//
// For each image, with k channels:
//   A = softmax(Q Kᵀ) over the M keys (no scaling),  O = A V.
#pragma once

#include <cstdint>

namespace ebm {

class CudaStream;

/// Memory is channels last, dense and aligned to 16 bytes (as a DeviceBuffer is); T is float or
/// Bfloat16, and arithmetic is float:
///   qkv  images × N × 3k   θ, φ and g of each pixel; Q is the first k
///   pooled    images × M × 2k   K and V of each pooled pixel
///   attended     images × N × k    O
struct AttentionShape {
  std::int64_t images = 0;
  std::int64_t queries = 0;   ///< N: pixels
  std::int64_t keys = 0;      ///< M: pooled pixels
  std::int64_t channels = 0;  ///< k, at most kMostAttentionChannels
};
inline constexpr std::int64_t kMostAttentionChannels = 1024;

/// Enqueues O = A V into `attended`, and into `log_sums` (images × N), for the backward pass,
/// log Σ_j exp(Q_i·(K_j − K_0)). Throws std::invalid_argument of too many channels.
template <class T>
void attention_forward(const CudaStream& stream, const AttentionShape& shape, const T* qkv,
                       const T* pooled, T* attended, float* log_sums);

/// Enqueues the gradients of Q, K and V from that of O: the first k channels of each pixel of
/// `qkv_gradient` (the other 2k are left alone), and all of `pooled_gradient`. `qkv`,
/// `pooled` and `log_sums` are as attention_forward had and left them. `workspace` is images × N
/// floats, whatever they are. No gradient may overlap anything else. The same bits every time.
template <class T>
void attention_backward(const CudaStream& stream, const AttentionShape& shape, const T* qkv,
                        const T* pooled, const float* log_sums, const T* attended_gradient,
                        float* workspace, T* qkv_gradient, T* pooled_gradient);

}  // namespace ebm
