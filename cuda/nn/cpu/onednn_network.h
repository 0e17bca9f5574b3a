// A network's layers compiled for tiles of chains on the CPU, by oneDNN.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/cpu/first_layer_gradient.h"
#include "cuda/nn/cpu/nonlocal_block.h"
#include "cuda/nn/cpu/tile_energy.h"
#include "cuda/nn/network.h"

namespace ebm {

/// What the threads share: every layer's primitives and weights for tiles of one size.
class OneDnnNetwork {
 public:
  OneDnnNetwork(Network network, int tile_chains, OperandType factors);

  /// Takes a new θ, in every layout that computing needs it in. No tile may be computing.
  void set_parameters(std::span<const float> theta);

  /// One thread's executor. It keeps `shared` alive.
  static std::unique_ptr<TileEnergy> make_tile(std::shared_ptr<const OneDnnNetwork> shared);

 private:
  friend class OneDnnTile;

  /// Where a block of a plan's weights comes from and its gradient goes.
  struct Part {
    std::shared_ptr<ConvolutionPlan> plan;
    std::int64_t first_output = 0;  ///< where the block starts in the plan's outputs
    const ParameterTensor* weight = nullptr;
    const ParameterTensor* bias = nullptr;
  };
  /// The last layer where it sees its whole input at once: one output, weights channels last.
  struct Head {
    Buffer<float> weights;
    float bias = 0;
    const ParameterTensor* weight_tensor = nullptr;
    const ParameterTensor* bias_tensor = nullptr;
  };
  struct PlannedLayer {
    std::shared_ptr<ConvolutionPlan> convolution;  ///< conv, linear
    std::unique_ptr<Head> head;                    ///< instead of it, for the last one
    std::unique_ptr<NonlocalPlan> nonlocal;
    bool relu_done = false;    ///< a leaky_relu already applied by the convolution before it
    bool pooled_relu = false;  ///< a leaky_relu left to the max_pool after it, and that max_pool
    std::unique_ptr<ImageGradientWeights> image_gradient;  ///< of a first conv, for sampling
    std::vector<Part> parts;
  };

  std::unique_ptr<Head> make_head(std::size_t layer) const;
  std::unique_ptr<ImageGradientWeights> make_image_gradient() const;
  Part part(std::shared_ptr<ConvolutionPlan> plan, std::int64_t first_output,
            const std::string& key) const;

  Network network_;
  int tile_chains_;
  std::vector<PlannedLayer> layers_;
};

}  // namespace ebm
