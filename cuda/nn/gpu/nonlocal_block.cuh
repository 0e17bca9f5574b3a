// A whole non-local block on the device, one kernel a direction: a block of threads has an image,
// whose matrices stay in shared memory. For shapes that fit there; attention.cuh and its companions
// do the same for all others.
//
// For each image, with N pixels of 2k channels and M = N / 4 windows of 2 × 2 pixels:
//   Q = θ(x), K = pool(φ(x)), V = pool(g(x)),  y = x + W(softmax(Q Kᵀ) V).
#pragma once

#include <cstdint>

namespace ebm {

class CudaStream;

/// Whole images are pooled, so that height and width are even.
struct NonlocalShape {
  std::int64_t images = 0;
  int height = 0;
  int width = 0;
  int half = 0;  ///< k: half the channels
};

/// Whether the current device takes this shape. M is to be a power of two from 4 to 128, k a
/// multiple of 4, and the matrices of an image to fit a block's shared memory.
bool nonlocal_fits_a_kernel(const NonlocalShape& shape);

/// On the device, outputs × inputs, and dense as all that follows.
struct NonlocalParameters {
  const float* qkv_weight;  ///< 3k × 2k: θ, φ and g
  const float* qkv_bias;
  const float* projection_weight;  ///< 2k × k
  const float* projection_bias;
};

/// What the forward pass leaves to the backward pass, and both to a weight gradient. Channels last;
/// T is float or Bfloat16, and arithmetic is float.
template <class T>
struct NonlocalMemory {
  T* qkv;                ///< images × N × 3k, of which only Q, the first k, is written
  T* pooled;             ///< images × M × 2k: K and V
  std::uint8_t* argmax;  ///< images × M × 2k: where in its window a pooled value was
  float* log_sums;       ///< images × N: log₂ Σ_j exp(Q_i·(K_j − K_0))
  T* attended;           ///< images × N × k: softmax(Q Kᵀ) V
  T* qkv_gradient;       ///< images × N × 3k
};

/// Enqueues y, and all of `memory` but the gradient, from x; both are images × N × 2k. Only for
/// shapes that fit.
template <class T>
void nonlocal_forward(const CudaStream& stream, const NonlocalShape& shape,
                      const NonlocalParameters& parameters, const T* x,
                      const NonlocalMemory<T>& memory, T* y);

/// Enqueues dx, and the gradient in `memory`, from dy and what the forward pass left. The same bits
/// every time.
template <class T>
void nonlocal_backward(const CudaStream& stream, const NonlocalShape& shape,
                       const NonlocalParameters& parameters, const T* dy,
                       const NonlocalMemory<T>& memory, T* dx);

}  // namespace ebm
