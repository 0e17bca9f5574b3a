// Linear layers, and convolutions with a kernel of 1, by cuBLASLt: its algorithms for one pass, to
// be run, measured and kept. In builds with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/device/cublas_lt_handle.h"
#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/precision.h"

namespace ebm {

/// One pass of a layer y = x Wᵀ + b of `rows` states, or pixels of images with the channels last.
/// Row by row, x is rows × inputs, W is outputs × inputs, y is rows × outputs. forward is y = x Wᵀ,
/// with the bias + b; input_gradient dx = dy W; weight_gradient dW = dyᵀ x. LeakyReLUs are not part
/// of it: the library's epilogues know a ReLU, and its mask of one bit a value, but no slope below
/// 0. bias_activation and leaky_relu_backward do that in a sweep of their own.
struct LtProblem {
  ConvolutionPass pass = ConvolutionPass::forward;
  std::int64_t rows = 1;
  std::int64_t inputs = 1;
  std::int64_t outputs = 1;
  Precision precision = Precision::tf32;
  /// Of a forward pass, to add b. The manual's table of types has it in bf16 with a bias in bf16
  /// only, and ours is float: expect no plan there.
  bool bias = false;
};

/// Arrays of the device, beginning at multiples of 16 bytes. x, W, y and their gradients hold float
/// or, in bf16, Bfloat16; dW and b are float always.
struct LtArrays {
  const void* left = nullptr;   ///< x, dy or dy
  const void* right = nullptr;  ///< W, W or x
  void* result = nullptr;       ///< y, dx or dW, which is overwritten
  const float* bias = nullptr;  ///< b, of a forward pass with the bias
};

/// One of the library's algorithms, for one problem. It gives the same bits whenever it runs: of
/// the ways to add parts of a sum that several blocks computed, those are left out that add them in
/// the result's own memory or round them to less than float.
class LtPlan {
 public:
  /// No plan needs more.
  static constexpr std::size_t kLargestWorkspace = std::size_t{32} << 20;

  /// The plan that was saved; none when this version of cuBLASLt does not take it for this problem
  /// on this device, or where the bytes are none that save() gave.
  static std::optional<LtPlan> restore(const CublasLtHandle& handle, const LtProblem& problem,
                                       const std::vector<std::uint8_t>& saved);
  std::vector<std::uint8_t> save() const;

  /// The algorithm with all that it is configured with, in a line: the same plan of the same
  /// problem has the same name whenever candidates are asked for.
  std::string name() const;
  std::size_t workspace_bytes() const;

  /// Enqueues the pass on the handle's stream. Allocates nothing, never waits, and can be captured
  /// in a CudaGraph. `workspace` holds nothing between calls and begins at a multiple of 256 bytes.
  /// Plans of one call of lt_candidates() are not to be run by two threads at once.
  void run(const CublasLtHandle& handle, const LtArrays& arrays, void* workspace) const;

 private:
  struct Product;
  struct Algorithm;
  friend std::vector<LtPlan> lt_candidates(const CublasLtHandle& handle, const LtProblem& problem,
                                           std::size_t most);
  LtPlan(std::shared_ptr<const Product> product, const Algorithm& algorithm);

  std::shared_ptr<const Product> product_;
  std::shared_ptr<const Algorithm> algorithm_;
};

/// The first `most` of the plans that cuBLASLt proposes for the current device, best guess first;
/// none where it has none. Throws CudaError when the library fails.
std::vector<LtPlan> lt_candidates(const CublasLtHandle& handle, const LtProblem& problem,
                                  std::size_t most);

}  // namespace ebm
