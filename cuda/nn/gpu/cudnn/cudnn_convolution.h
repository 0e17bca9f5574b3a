// Convolutions by cuDNN's graph API or, with a kernel of 1, by cuBLASLt: forward, backward to the
// input, weight gradient. In builds with cuDNN only.
#pragma once

#include <cstddef>
#include <memory>

#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/gpu/cudnn/convolution_libraries.h"
#include "cuda/nn/gpu/cudnn/plan_cache.h"

namespace ebm {

/// The plans of one convolution, chosen for the current device.
///
/// Arrays are the device's, channels last: x, dx images × pixels × in_channels; y, dy images ×
/// pixels × out_channels; W out × kernel × kernel × in. They hold float or, in bf16, Bfloat16, and
/// begin at multiples of 16 bytes. b and dW are float always.
///
/// What is enqueued is on the libraries' stream, allocates nothing, never waits, can be captured in
/// a CudaGraph (which the convolution must outlive) and gives the same bits whenever it runs.
class CudnnConvolution {
 public:
  /// Takes the plans that `cache` has for this device, version of cuDNN and pattern. Where it has
  /// none, measures on the device the deterministic plans that the libraries think best, and keeps
  /// the fastest; those of cuDNN's that the cache does not have are compiled, some seconds' work,
  /// which compile_plans() does in many threads. Plans may differ in how they round: starts that
  /// find the same cache give the same bits, and a start that measures may not.
  ///
  /// Null when cuDNN has no plan for one of the passes. Throws CudaError when the device fails.
  /// The libraries must outlive the convolution.
  static std::unique_ptr<CudnnConvolution> create(const ConvolutionLibraries& libraries,
                                                  const ConvolutionPattern& pattern,
                                                  const PlanCache& cache);
  ~CudnnConvolution();

  /// Bytes at `workspace` that any of the passes may need: at most kLargestWorkspace and the larger
  /// of subpixels (subpixels.cuh) and, in bf16, float copies of x and y. The memory holds nothing
  /// between calls, so all convolutions of a stream may share the largest.
  std::size_t workspace_bytes() const;

  /// To be called whenever W has changed: makes what passes need of it in another order.
  void take_weights(const void* weight);

  /// y from x, as the pattern says.
  void forward(const void* x, const void* weight, const float* bias, void* y,
               void* workspace) const;
  /// dx from dy, the gradient of W∗x + b. With input_is_leaky, dx is also multiplied by the
  /// LeakyReLU's derivative, which `x` tells; without, x may be null.
  void input_gradient(const void* dy, const void* weight, const void* x, void* dx,
                      void* workspace) const;
  /// dW from x and dy; what dW held is overwritten. In bf16, the products are exact: Bfloat16
  /// values are values of TF32, and the plan is tf32's on copies in the workspace.
  void weight_gradient(const void* x, const void* dy, float* dweight, void* workspace) const;

 private:
  struct Plans;
  explicit CudnnConvolution(std::unique_ptr<Plans> plans);

  std::unique_ptr<Plans> plans_;
};

}  // namespace ebm
