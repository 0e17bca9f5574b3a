#include "cuda/nn/gpu/cudnn/cudnn_graphs.h"

#include <cudnn_frontend.h>

#include <string>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/subpixels.cuh"

namespace ebm {
namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

/// The graph of one pass, and the tensors it may have.
class GraphBuilder {
 public:
  explicit GraphBuilder(const ConvolutionPattern& pattern) : pattern_(pattern) {
    graph_
        ->set_io_data_type(pattern.precision == Precision::bf16 ? fe::DataType_t::BFLOAT16
                                                                : fe::DataType_t::FLOAT)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }

  Tensor x() { return graph_->tensor(images(kX, "x")); }
  Tensor dy() {
    const ConvolutionShape& s = pattern_.shape;
    return graph_->tensor(
        channels_last(kDy, "dy", s.images, s.out_channels, s.out_height(), s.out_width()));
  }
  Tensor weight() { return graph_->tensor(filters(kW, "w")); }
  Tensor bias() {
    return graph_->tensor(channels_last(kB, "b", 1, pattern_.shape.out_channels, 1, 1)
                              .set_data_type(fe::DataType_t::FLOAT));
  }
  fe::graph::Tensor_attributes images(CudnnTensor id, const char* name) const {
    const ConvolutionShape& s = pattern_.shape;
    return channels_last(id, name, s.images, s.in_channels, s.height, s.width);
  }
  fe::graph::Tensor_attributes filters(CudnnTensor id, const char* name) const {
    const ConvolutionShape& s = pattern_.shape;
    return channels_last(id, name, s.out_channels, s.in_channels, s.kernel, s.kernel);
  }

  /// Conv_fprop_attributes, Conv_dgrad_attributes or Conv_wgrad_attributes of the shape.
  template <class Attributes>
  Attributes convolution() const {
    const std::vector<std::int64_t> padding(2, pattern_.shape.padding);
    const std::vector<std::int64_t> stride(2, pattern_.shape.stride);
    return Attributes().set_padding(padding).set_stride(stride).set_dilation({1, 1});
  }

  fe::graph::Graph* operator->() { return graph_.get(); }

  /// Names the graph's one result and hands the graph over.
  CudnnGraph with_output(CudnnTensor id, const Tensor& tensor) {
    tensor->set_uid(id).set_output(true);
    return graph_;
  }

 private:
  static fe::graph::Tensor_attributes channels_last(CudnnTensor id, const char* name, int n, int c,
                                                    int h, int w) {
    const std::int64_t pixel = c;
    const std::int64_t row = pixel * w;
    return fe::graph::Tensor_attributes()
        .set_uid(id)
        .set_name(name)
        .set_dim({n, c, h, w})
        .set_stride({row * h, 1, row, pixel});
  }

  ConvolutionPattern pattern_;
  CudnnGraph graph_ = std::make_shared<fe::graph::Graph>();
};

/// RELU_FWD or RELU_BWD, leaky.
fe::graph::Pointwise_attributes leaky(fe::PointwiseMode_t mode) {
  return fe::graph::Pointwise_attributes().set_mode(mode).set_relu_lower_clip_slope(kLeakySlope);
}

CudnnGraph forward_graph(const ConvolutionPattern& pattern, bool fused) {
  GraphBuilder graph(pattern);
  Tensor y = graph->conv_fprop(graph.x(), graph.weight(),
                               graph.convolution<fe::graph::Conv_fprop_attributes>());
  if (fused) {
    y = graph->pointwise(y, graph.bias(),
                         fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
    if (pattern.leaky_relu) {
      y = graph->pointwise(y, leaky(fe::PointwiseMode_t::RELU_FWD));
    }
  }
  return graph.with_output(kY, y);
}

CudnnGraph input_gradient_graph(const ConvolutionPattern& pattern, bool fused) {
  GraphBuilder graph(pattern);
  Tensor dx = graph->conv_dgrad(graph.dy(), graph.weight(),
                                graph.convolution<fe::graph::Conv_dgrad_attributes>());
  // cuDNN cannot tell this size from the others: strides round it.
  const auto images = graph.images(kDx, "dx");
  dx->set_dim(images.get_dim()).set_stride(images.get_stride());
  if (fused) {
    dx = graph->pointwise(dx, graph.x(), leaky(fe::PointwiseMode_t::RELU_BWD));
  }
  return graph.with_output(kDx, dx);
}

CudnnGraph weight_gradient_graph(const ConvolutionShape& shape) {
  GraphBuilder graph({.shape = shape, .precision = Precision::tf32});
  const Tensor dw = graph->conv_wgrad(graph.dy(), graph.x(),
                                      graph.convolution<fe::graph::Conv_wgrad_attributes>());
  const auto filters = graph.filters(kDw, "dw");
  dw->set_dim(filters.get_dim()).set_stride(filters.get_stride());
  return graph.with_output(kDw, dw);
}

}  // namespace

std::string GraphKind::name() const {
  const char* const names[] = {"forward", "input gradient", "weight gradient"};
  const char* const forms[] = {"", ", fused", ", by subpixels"};
  return names[static_cast<int>(pass)] + std::string(forms[static_cast<int>(form)]);
}

std::vector<GraphKind> graph_kinds(const ConvolutionPattern& pattern, ConvolutionPass pass) {
  std::vector<GraphKind> kinds{{.pass = pass, .form = GraphForm::plain}};
  if (pass == ConvolutionPass::forward ||
      (pass == ConvolutionPass::input_gradient && pattern.input_is_leaky)) {
    kinds.push_back({.pass = pass, .form = GraphForm::fused});
  }
  if (pass == ConvolutionPass::input_gradient && has_subpixels(pattern.shape)) {
    kinds.push_back({.pass = pass, .form = GraphForm::subpixels});
  }
  return kinds;
}

CudnnGraph make_graph(const ConvolutionPattern& pattern, const GraphKind& kind) {
  switch (kind.pass) {
    case ConvolutionPass::forward:
      return forward_graph(pattern, kind.form == GraphForm::fused);
    case ConvolutionPass::input_gradient:
      return kind.form == GraphForm::subpixels
                 ? forward_graph({.shape = subpixel_convolution(pattern.shape),
                                  .precision = pattern.precision},
                                 false)
                 : input_gradient_graph(pattern, kind.form == GraphForm::fused);
    case ConvolutionPass::weight_gradient:
      break;
  }
  return weight_gradient_graph(pattern.shape);
}

Precision precision_of(const ConvolutionPattern& pattern, ConvolutionPass pass) {
  return pass == ConvolutionPass::weight_gradient && pattern.precision == Precision::bf16
             ? Precision::tf32
             : pattern.precision;
}

}  // namespace ebm
