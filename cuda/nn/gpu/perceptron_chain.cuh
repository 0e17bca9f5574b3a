// Perceptrons on the device: whole Langevin chains in one launch, f and its gradients. In builds
// with CUDA only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/kernels/langevin_update.cuh"

namespace ebm {

/// One linear layer: where its weight (outputs, inputs) and bias begin in θ, and its input among a
/// state's units: the numbers of all layers one after the other, the state itself first.
struct PerceptronLayer {
  int inputs = 0;
  int outputs = 0;
  std::int64_t weight = 0;
  std::int64_t bias = 0;
  int first_input = 0;
};

/// The network as its kernels see it.
struct PerceptronView {
  const PerceptronLayer* layers;
  const float* theta;
  int count;  ///< of layers
  int units;  ///< of a state
  int state_size;
  bool weights_fit;  ///< into a block's memory
};

/// A perceptron, f(x; θ): linear layers with LeakyReLU between them and one output. Reads θ where
/// it is, so that a new θ needs no preparation.
///
/// Everything is enqueued on a stream, the pointers are the device's, and nothing waits or
/// allocates. Results are the same bits every time, and a chain's do not depend on its batch. Calls
/// of weight_gradient use the same memory: enqueue them on one stream.
class DevicePerceptron {
 public:
  /// widths[0] inputs, widths[l + 1] outputs of layer l, widths.back() == 1. Layer l's weight
  /// (outputs, inputs) begins at θ[weight_offsets[l]], its bias at θ[bias_offsets[l]]; together
  /// they are all of θ. For the current device.
  /// Throws std::invalid_argument when a state's units do not fit into the memory of a block, some
  /// 50,000 of them.
  DevicePerceptron(const CudaStream& stream, const std::vector<int>& widths,
                   const std::vector<std::int64_t>& weight_offsets,
                   const std::vector<std::int64_t>& bias_offsets);

  /// `steps` Langevin steps of `chains` states in place, in one launch; update.step is the first
  /// step's number, first_chain the first chain's in the noise. Adds each chain's Σ_steps ‖∇ₓf‖ to
  /// norm_sums, one step after the other: two calls give the bits of one. given_noise, when not
  /// null, replaces the normals: steps × chains × state size.
  void langevin(const CudaStream& stream, const float* theta, const LangevinUpdate& update,
                int steps, std::uint32_t first_chain, std::int64_t chains, const float* given_noise,
                float* states, float* norm_sums) const;

  /// f and, when gradients is not null, ∇ₓf of `count` states. The last layer is summed in double;
  /// see energy_head.cuh.
  void evaluate(const CudaStream& stream, const float* theta, const float* states,
                std::int64_t count, float* f, float* gradients) const;

  /// f of `count` states, 1 or more, and theta_gradient = scale·Σ ∂f/∂θ, the whole of θ.
  void weight_gradient(const CudaStream& stream, const float* theta, const float* states,
                       std::int64_t count, float scale, float* f, float* theta_gradient);

 private:
  PerceptronView view(const float* theta) const;
  unsigned blocks(std::int64_t states) const;

  std::vector<PerceptronLayer> layers_;
  int state_size_;
  int units_;
  bool is_toy_;
  int processors_;            // of the device
  bool weights_fit_ = false;  // into a block's memory
  std::size_t block_bytes_ = 0;
  DeviceBuffer<PerceptronLayer> device_layers_;
  DeviceBuffer<float> activations_;  // [state][unit], of as many states as are summed at a time
  DeviceBuffer<float> derivatives_;
};

}  // namespace ebm
