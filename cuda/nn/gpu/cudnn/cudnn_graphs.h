// The passes of a convolution as graphs of cuDNN's operations: what there is to compute, before any
// device or plan. In builds with cuDNN only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/nn/gpu/convolution_pattern.h"

namespace cudnn_frontend::graph {
class Graph;
}

namespace ebm {

using CudnnGraph = std::shared_ptr<cudnn_frontend::graph::Graph>;

/// What the graphs call their tensors.
enum CudnnTensor : std::int64_t { kX = 1, kW, kB, kY, kDy, kDx, kDw };

/// What of a pass is a graph's.
enum class GraphForm {
  plain,      ///< the convolution
  fused,      ///< and the element-by-element work around it
  subpixels,  ///< of an input gradient: the convolution from dy to subpixels (subpixels.cuh)
};

/// One way to put a pass into a graph.
struct GraphKind {
  ConvolutionPass pass = ConvolutionPass::forward;
  GraphForm form = GraphForm::plain;

  /// Unique among a pattern's, for keys and messages.
  std::string name() const;
};

/// The graphs that can compute a pass of the pattern.
std::vector<GraphKind> graph_kinds(const ConvolutionPattern& pattern, ConvolutionPass pass);

/// forward: y = W∗x; if fused, with the bias and the LeakyReLU that the pattern asks for.
/// input_gradient: dx from dy; if fused, times the derivative of the LeakyReLU that made x; by
/// subpixels, forward's y from x of subpixel_convolution().
/// weight_gradient: dw from x and dy, float all three: of Bfloat16 ones cuDNN makes a Bfloat16 dw
/// only.
CudnnGraph make_graph(const ConvolutionPattern& pattern, const GraphKind& kind);

/// The precision of a pass's products: the pattern's, but for what make_graph() says of
/// weight_gradient.
Precision precision_of(const ConvolutionPattern& pattern, ConvolutionPass pass);

}  // namespace ebm
