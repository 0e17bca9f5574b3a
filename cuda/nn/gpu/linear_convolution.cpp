#include "cuda/nn/gpu/linear_convolution.h"

#include "cuda/nn/gpu/convolution_epilogue.h"

namespace ebm {

bool is_linear(const ConvolutionShape& shape) {
  return shape.kernel == 1 && shape.stride == 1 && shape.padding == 0;
}

LtProblem linear_problem(const ConvolutionPattern& pattern, ConvolutionPass pass) {
  const ConvolutionShape& s = pattern.shape;
  return {.pass = pass,
          .rows = std::int64_t{s.images} * s.height * s.width,
          .inputs = s.in_channels,
          .outputs = s.out_channels,
          .precision = pattern.precision,
          .bias = pass == ConvolutionPass::forward && !pattern.leaky_relu &&
                  pattern.precision != Precision::bf16};
}

void linear_forward(const CublasLtHandle& handle, const ConvolutionPattern& pattern,
                    const LtPlan& plan, const void* x, const void* weight, const float* bias,
                    void* y, void* workspace) {
  plan.run(handle, {.left = x, .right = weight, .result = y, .bias = bias}, workspace);
  if (!linear_problem(pattern, ConvolutionPass::forward).bias) {
    finish_forward(handle.stream(), pattern, bias, y);
  }
}

void linear_input_gradient(const CublasLtHandle& handle, const ConvolutionPattern& pattern,
                           const LtPlan& plan, const void* dy, const void* weight, const void* x,
                           void* dx, void* workspace) {
  plan.run(handle, {.left = dy, .right = weight, .result = dx}, workspace);
  finish_input_gradient(handle.stream(), pattern, x, dx);
}

void linear_weight_gradient(const CublasLtHandle& handle, const LtPlan& plan, const void* x,
                            const void* dy, float* dweight, void* workspace) {
  plan.run(handle, {.left = dy, .right = x, .result = dweight}, workspace);
}

}  // namespace ebm
