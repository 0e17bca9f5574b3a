#include "cuda/nn/cpu/perceptron_tile.h"

#include <algorithm>
#include <utility>

#include "cuda/base/ceil_div.h"

namespace ebm {
namespace {

/// Few enough that a thread that is held up does not hold up the others for long.
constexpr std::int64_t kMostTogether = 96;

class PerceptronTile final : public TileEnergy {
 public:
  PerceptronTile(std::shared_ptr<const Perceptron> perceptron,
                 std::unique_ptr<TileEnergy> weight_gradients)
      : perceptron_(std::move(perceptron)),
        chains_(*perceptron_),
        weight_gradients_(std::move(weight_gradients)) {}

  int capacity() const override { return weight_gradients_->capacity(); }
  /// Equal shares: any number of chains is about as fast, chain for chain.
  Partition best_partition(std::int64_t batch, int threads) const override {
    const std::int64_t tiles = threads * ceil_div(batch, threads * kMostTogether);
    return {.tile = std::max<std::int64_t>(1, ceil_div(batch, tiles))};
  }
  std::int64_t state_size() const override { return perceptron_->widths().front(); }
  void energies(const float* states, int chains, float* f) override {
    chains_.evaluate(states, chains, f, nullptr);
  }
  void energies_and_gradients(const float* states, int chains, float* f,
                              float* gradients) override {
    chains_.evaluate(states, chains, f, gradients);
  }
  void weight_gradient(const float* states, int chains, float scale, float* f,
                       float* gradient) override {
    weight_gradients_->weight_gradient(states, chains, scale, f, gradient);
  }
  std::int64_t gradient_values() const override { return weight_gradients_->gradient_values(); }
  void add_in_order_of_parameters(float* gradient, float* theta_gradient) override {
    weight_gradients_->add_in_order_of_parameters(gradient, theta_gradient);
  }
  void langevin(const ChainRun& run, const Chains& chains) override {
    chains_.run(run.update, run.steps, chains.first, static_cast<int>(chains.count),
                chains.given_noise, chains.row_chains() * state_size(), chains.memory.states,
                chains.norm_sums);
  }

 private:
  std::shared_ptr<const Perceptron> perceptron_;
  PerceptronChains chains_;
  std::unique_ptr<TileEnergy> weight_gradients_;
};

}  // namespace

void set_parameters(Perceptron& perceptron, const Network& network, const float* theta) {
  for (std::size_t l = 0; l < perceptron.layers(); ++l) {
    const ParameterTensor& weight = network.parameters()[2 * l];
    const ParameterTensor& bias = network.parameters()[2 * l + 1];
    perceptron.set_layer(l, theta + weight.offset, theta + bias.offset);
  }
}

std::unique_ptr<TileEnergy> make_perceptron_tile(std::shared_ptr<const Perceptron> perceptron,
                                                 std::unique_ptr<TileEnergy> weight_gradients) {
  return std::make_unique<PerceptronTile>(std::move(perceptron), std::move(weight_gradients));
}

}  // namespace ebm
