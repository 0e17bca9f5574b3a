// nonlocal: the non-local block (Wang, Girshick, Gupta and He, "Non-local neural networks", CVPR
// 2018). With k = C/2 channels, N pixels and M = N/4 pooled pixels:
//   Q = θ(x)  (N×k),  K = maxpool(φ(x))  (M×k),  V = maxpool(g(x))  (M×k),
//   A = softmax(Q Kᵀ) over the M keys,  y = x + W(A V).
// θ, φ and g are one convolution, C → 3k; W, k → C, is the output projection.
#pragma once

#include "cuda/nn/layer_type.h"
#include "cuda/nn/operation.h"

namespace ebm {

extern const LayerType kNonlocalLayer;
extern const OperationType kNonlocal;

/// The block's two convolutions, both with a kernel of 1.
struct NonlocalConvolutions {
  ConvolutionShape qkv;
  ConvolutionShape projection;
};
NonlocalConvolutions nonlocal_convolutions(int images, const Shape& in);

/// Their parameters, in the operation's list.
inline const StackedParameters& qkv_parameters(const Operation& nonlocal) {
  return nonlocal.parameters[0];
}
inline const StackedParameters& projection_parameters(const Operation& nonlocal) {
  return nonlocal.parameters[1];
}

}  // namespace ebm
