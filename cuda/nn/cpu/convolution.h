// Convolutions on channels-last images, on one CPU thread: forward, backward to the input, weight
// gradient. By oneDNN; forward and backward with fewer multiplications where Winograd's algorithm
// does the shape (see winograd.h).
#pragma once

#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <unordered_map>

#include "cuda/base/buffer.h"
#include "cuda/nn/convolution_shape.h"
#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/cpu/winograd.h"

namespace ebm {

/// Whether the processor multiplies bfloat16, twice as fast as float.
bool have_bfloat16();

/// The compiled primitives of one convolution and its weights in the layouts they want. Shared by
/// all threads; changed only by prepare(), while no thread computes.
class ConvolutionPlan {
 public:
  /// Throws dnnl::error when oneDNN has no implementation.
  ConvolutionPlan(ConvolutionShape shape, Epilogue epilogue, OperandType factors);

  /// (out, in, kh, kw) and (out): fill both, then call prepare().
  std::span<float> weights() { return weights_.span(); }
  std::span<float> bias() { return bias_.span(); }
  /// Reorders the weights for the forward and the backward pass. Work of the size of the weights:
  /// once for every new θ, never within sampling.
  void prepare();

  /// Values of scratch memory that a Convolution needs.
  std::int64_t scratch_values() const { return winograd_ ? winograd_->scratch_values() : 0; }

 private:
  friend class Convolution;

  Epilogue epilogue_;
  std::unique_ptr<WinogradConvolution> winograd_;  // where there is one, instead of the next two
  dnnl::convolution_forward::primitive_desc forward_;
  dnnl::convolution_backward_data::primitive_desc backward_;
  dnnl::convolution_backward_weights::primitive_desc weight_gradient_;
  dnnl::memory::desc plain_weights_;
  std::int64_t gradient_weights_ = 0;  // values of the gradient in oneDNN's order, to a cache line
  std::int64_t gradient_bias_ = 0;
  Buffer<float> weights_;
  Buffer<float> bias_;
  dnnl::memory forward_weights_;
  dnnl::memory backward_weights_;
};

/// One thread's use of a plan on fixed memory. Arrays are images × pixels × channels.
class Convolution {
 public:
  /// x, y: input and output; dx, dy: their gradients; scratch: the plan's scratch_values(), which
  /// several may share. Borrowed; must outlive this.
  Convolution(std::shared_ptr<const ConvolutionPlan> plan, float* x, float* y, float* dx, float* dy,
              float* scratch = nullptr);

  /// y from x, with the plan's epilogue.
  void forward();
  /// dx from dy, where dy is the gradient before any epilogue.
  void backward();
  /// dx from dy, where dy is the gradient after the plan's epilogue, a LeakyReLU. Requires
  /// takes_relu_back().
  void backward_with_relu();
  bool takes_relu_back() const;
  /// The gradient of weights and bias from x and dy, gradient_values() values in oneDNN's order.
  void weight_gradient(float* gradient);
  std::int64_t gradient_values() const { return plan_->gradient_weights_ + plan_->gradient_bias_; }
  /// The two arrays below from such a gradient, or a sum of them.
  void reorder_to_plain(float* gradient);
  /// (out, in, kh, kw) and (out).
  std::span<const float> weights_gradient() const { return plain_gradient_.span(); }
  std::span<const float> bias_gradient() const { return bias_gradient_; }

 private:
  using Arguments = std::unordered_map<int, dnnl::memory>;
  /// Rounds an array to the plan's factors before it is multiplied; nothing where they are float.
  struct Rounding {
    dnnl::reorder reorder;
    Arguments arguments;
  };

  dnnl::memory as_factors(const dnnl::memory& values, const dnnl::memory::desc& factors,
                          Rounding& rounding) const;

  std::shared_ptr<const ConvolutionPlan> plan_;
  float* x_;
  float* y_;
  float* dx_;
  float* dy_;
  float* scratch_;
  dnnl::stream stream_;
  dnnl::primitive forward_;
  dnnl::primitive backward_;
  Rounding round_input_;
  Rounding round_output_gradient_;
  Arguments forward_arguments_;
  Arguments backward_arguments_;

  dnnl::primitive weight_gradient_;
  Arguments weight_gradient_arguments_;
  dnnl::memory ordered_by_onednn_;  // weights' and bias's gradients: whoever computes says where
  dnnl::memory of_bias_;
  dnnl::reorder to_plain_;
  Arguments to_plain_arguments_;
  Buffer<float> plain_gradient_;
  std::span<const float> bias_gradient_;
};

/// About what a ConvolutionPlan and each Convolution of it take, bytes.
CpuBytes convolution_bytes(const ConvolutionShape& shape, Epilogue epilogue, OperandType factors);

/// The CPU as oneDNN's engine; one for the process.
const dnnl::engine& cpu_engine();

}  // namespace ebm
