// The passes of a convolution as graphs of cuDNN's operations: what there is to compute, before any
// device or plan. In builds with cuDNN only.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/nn/cudnn_convolution.h"

namespace cudnn_frontend::graph {
class Graph;
}

namespace ebm {

using CudnnGraph = std::shared_ptr<cudnn_frontend::graph::Graph>;

/// What the graphs call their tensors.
enum CudnnTensor : std::int64_t { kX = 1, kW, kB, kY, kDy, kDx, kDw };

/// y = W∗x; if `fused`, also with the bias and the LeakyReLU that the pattern asks for.
CudnnGraph forward_graph(const ConvolutionPattern& pattern, bool fused);

/// dx from dy; if `fused`, also times the derivative of the LeakyReLU that made x.
CudnnGraph input_gradient_graph(const ConvolutionPattern& pattern, bool fused);

/// dw from x and dy, float all three: of Bfloat16 ones cuDNN makes a Bfloat16 dw only.
CudnnGraph weight_gradient_graph(const ConvolutionShape& shape);

}  // namespace ebm
