#include "cuda/nn/perceptron_tile.h"

#include <algorithm>
#include <utility>

#include "cuda/device/quotient.h"

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
  Cut best_cut(std::int64_t batch, int threads) const override {
    const std::int64_t tiles = threads * quotient_rounded_up(batch, threads * kMostTogether);
    return {.together = std::max<std::int64_t>(1, quotient_rounded_up(batch, tiles))};
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

std::optional<std::vector<int>> perceptron_widths(const Network& network) {
  const Shape& input = network.input();
  if (input.height != 1 || input.width != 1) {
    return std::nullopt;
  }
  std::vector<int> widths{input.channels};
  bool linear_next = true;
  for (const Layer& layer : network.layers()) {
    const bool linear =
        layer.kind == LayerKind::linear || (layer.kind == LayerKind::conv && layer.kernel == 1 &&
                                            layer.stride == 1 && layer.padding == 0);
    if (linear != linear_next || (!linear && layer.kind != LayerKind::leaky_relu)) {
      return std::nullopt;
    }
    if (linear) {
      widths.push_back(layer.outputs);
    }
    linear_next = !linear;
  }
  return linear_next ? std::nullopt : std::optional(widths);
}

void set_parameters(Perceptron& perceptron, const Network& network, std::span<const float> theta) {
  for (std::size_t l = 0; l < perceptron.layers(); ++l) {
    const ParameterTensor& weight = network.parameters()[2 * l];
    const ParameterTensor& bias = network.parameters()[2 * l + 1];
    perceptron.set_layer(l, theta.data() + weight.offset, theta.data() + bias.offset);
  }
}

std::unique_ptr<TileEnergy> make_perceptron_tile(std::shared_ptr<const Perceptron> perceptron,
                                                 std::unique_ptr<TileEnergy> weight_gradients) {
  return std::make_unique<PerceptronTile>(std::move(perceptron), std::move(weight_gradients));
}

}  // namespace ebm
