// Convolutions with a kernel of 1, linear layers among them, by cuBLASLt's plans. In builds with
// CUDA only.
#pragma once

#include "cuda/nn/gpu/lt_linear.h"

namespace ebm {

/// Whether a convolution is a product of its pixels' channels with a matrix.
bool is_linear(const ConvolutionShape& shape);

/// A pass's product. The bias is part of the forward pass's only where no LeakyReLU comes behind
/// it, which would need a sweep of its own, and not in bf16, whose biases are float here.
LtProblem linear_problem(const ConvolutionPattern& pattern, ConvolutionPass pass);

// The passes as CudnnConvolution has them, by a plan of the pass's problem.

void linear_forward(const CublasLtHandle& handle, const ConvolutionPattern& pattern,
                    const LtPlan& plan, const void* x, const void* weight, const float* bias,
                    void* y, void* workspace);
void linear_input_gradient(const CublasLtHandle& handle, const ConvolutionPattern& pattern,
                           const LtPlan& plan, const void* dy, const void* weight, const void* x,
                           void* dx, void* workspace);
void linear_weight_gradient(const CublasLtHandle& handle, const LtPlan& plan, const void* x,
                            const void* dy, float* dweight, void* workspace);

}  // namespace ebm
