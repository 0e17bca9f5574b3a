// A network as executors see it: operations, each on memory that has a place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/nn/convolution_shape.h"
#include "cuda/nn/network.h"
#include "cuda/nn/precision.h"

namespace ebm {

struct ConvolutionPattern;
struct OperationType;
class CpuPlan;
struct CpuTile;
struct GpuFactory;

/// Where an affine map's parameters are in θ: one or more pairs of a weight and a bias, stacked
/// along the outputs.
struct StackedParameters {
  struct Part {
    std::int64_t weight = 0;  ///< offset in θ of (outputs, channels, positions)
    std::int64_t bias = 0;    ///< of (outputs)
    std::int64_t outputs = 0;

    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts{};
  /// Of a convolution, input channels and kernel · kernel. Of a linear layer that takes an image as
  /// it is, the image's channels and pixels: activations are channels last, so it is the weights
  /// whose order changes.
  std::int64_t channels = 0;
  std::int64_t positions = 1;

  std::int64_t inputs() const { return channels * positions; }
  std::int64_t outputs() const;
  /// Weights and biases of all parts.
  std::int64_t count() const { return outputs() * (inputs() + 1); }
  /// Appends the tensors KEY.weight and KEY.bias.
  void add(const Network& network, const std::string& key);

  bool operator==(const StackedParameters&) const = default;
};

/// Multiply–adds for one state in convolutions, linear layers and attention products, zero padding
/// included. Activations, pooling, softmax and noise are left out: no more than a few percent.
struct OperationCount {
  std::int64_t forward = 0;         ///< f(x)
  std::int64_t input_gradient = 0;  ///< ∇ₓf(x), once f(x) has been computed

  /// Floating-point operations of one Langevin step of one chain.
  double langevin_step() const {
    return 2.0 * (static_cast<double>(forward) + static_cast<double>(input_gradient));
  }
};

/// Bytes of a device: what an operation has for itself, and the most that it needs while it runs,
/// of memory that all operations share.
struct GpuBytes {
  std::int64_t own = 0;
  std::int64_t shared = 0;
};

/// Bytes of the CPU's memory, which threads share out among their tiles.
struct CpuBytes {
  std::int64_t shared = 0;    ///< of all threads together: parameters, as computing wants them
  std::int64_t own = 0;       ///< of each tile
  std::int64_t scratch = 0;   ///< the most that it needs of memory that a tile's operations share
  std::int64_t gradient = 0;  ///< of its parameters' gradient, in the order it makes that in
};

/// Which arrays of a LoweredNetwork an operation works on; −1 for none.
struct Operands {
  int x = -1;        ///< in values: its input; none: the states
  int y = -1;        ///< in values: its output; none: the energies
  int skip = -1;     ///< of a join, in values: the input of the branch that ends there
  int dx = -1;       ///< in gradients: the gradient with respect to x
  int dy = -1;       ///< in gradients: with respect to y
  int skip_dy = -1;  ///< of a fork, in gradients: with respect to the output of its join

  bool operator==(const Operands&) const = default;
};

/// One operation of the forward pass, and what belongs to it in the backward pass.
///
/// A LeakyReLU behind a convolution is computed by the convolution as it writes its output. Its
/// derivative is taken by the convolution before all else in the backward pass, or, as
/// input_is_leaky says, by the operation behind it, as that writes its input's gradient.
struct Operation {
  const OperationType* type = nullptr;
  std::string layer{};  ///< the layer's key, for messages
  Shape in{};           ///< as it is in memory
  Shape out{};
  int kernel = 1;  ///< of convolutions and pooling
  int stride = 1;
  int padding = 0;
  std::vector<StackedParameters> parameters{};
  bool flattens = false;        ///< a linear layer takes all pixels of its input as one
  bool leaky_relu = false;      ///< it computes a LeakyReLU too
  bool own_derivative = false;  ///< and takes its derivative
  bool input_is_leaky = false;  ///< it takes the derivative of the LeakyReLU that made its input
  Operands memory{};

  bool operator==(const Operation&) const = default;
};

/// What a kind of operation is on either device. A type is what its address says.
struct OperationType {
  std::string_view name;

  /// For one thread's tiles on the CPU: see cpu/cpu_operation.h.
  std::unique_ptr<CpuPlan> (*plan_for_cpu)(const Operation& operation, const CpuTile& tile);
  /// About what that takes beyond values and gradients; null: nothing.
  CpuBytes (*cpu_bytes)(const Operation& operation, const CpuTile& tile) = nullptr;

  /// For a batch on a CUDA device: see gpu/gpu_operation.h. Null in builds without CUDA.
  const GpuFactory* gpu = nullptr;
  /// A bound on what that takes of the device's memory beyond values and gradients; null: nothing.
  GpuBytes (*gpu_bytes)(const Operation& operation, int images, Precision precision) = nullptr;
  /// Appends the convolutions that are asked of a library; null: none.
  void (*library_convolutions)(const Operation& operation, int images, Precision precision,
                               std::vector<ConvolutionPattern>& to) = nullptr;

  /// Its arithmetic; null: none worth counting.
  OperationCount (*count)(const Operation& operation) = nullptr;
};

/// Of a convolution or linear layer on so many images.
ConvolutionShape convolution_shape(int images, const Operation& operation);

inline std::int64_t pixels(const Shape& shape) { return std::int64_t{shape.height} * shape.width; }

}  // namespace ebm
