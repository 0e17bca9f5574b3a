#include "cuda/nn/cpu/cpu_energy.h"

#include <utility>

#include "cuda/base/ceil_div.h"
#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/cpu/cpu_network.h"
#include "cuda/nn/cpu/one_thread.h"
#include "cuda/nn/cpu/perceptron_tile.h"
#include "cuda/nn/cpu/simd_perceptron.h"
#include "cuda/nn/cpu/split_tile.h"
#include "cuda/nn/cpu/tiled_energy.h"
#include "cuda/nn/lowering.h"

namespace ebm {
namespace {

/// Small enough for a core's cache, large enough to keep its vector units busy.
constexpr int kImagesPerTile = 4;
constexpr int kPointsPerTile = 32;  // of weight gradients

OperandType factors_for(Precision precision) {
  return precision == Precision::bf16 && have_bfloat16() ? OperandType::bfloat16
                                                         : OperandType::float32;
}

}  // namespace

std::unique_ptr<Energy> make_cpu_energy(const Network& network, Precision precision) {
  const std::optional<std::vector<int>> widths = perceptron_widths(network);
  std::shared_ptr<Perceptron> perceptron = widths ? std::make_shared<Perceptron>(*widths) : nullptr;
  const OperandType factors = perceptron ? OperandType::float32 : factors_for(precision);
  std::shared_ptr<CpuNetwork> layers;
  std::shared_ptr<CpuNetwork> layers_of_one;  // for tiles of images that are not full
  {
    const OneThread one_thread;
    layers = std::make_shared<CpuNetwork>(
        network, CpuTile{perceptron ? kPointsPerTile : kImagesPerTile, factors});
    if (!perceptron) {
      layers_of_one = std::make_shared<CpuNetwork>(network, CpuTile{1, factors});
    }
  }
  return std::make_unique<TiledEnergy>(
      [layers, layers_of_one, perceptron] {
        const OneThread one_thread;
        std::unique_ptr<TileEnergy> tile = CpuNetwork::make_tile(layers);
        return perceptron ? make_perceptron_tile(perceptron, std::move(tile))
                          : make_split_tile(std::move(tile), CpuNetwork::make_tile(layers_of_one));
      },
      [layers, layers_of_one, perceptron, network](const float* theta) {
        const OneThread one_thread;
        layers->set_parameters(theta);
        if (perceptron) {
          set_parameters(*perceptron, network, theta);
        } else {
          layers_of_one->set_parameters(theta);
        }
      },
      network.parameter_count());
}

std::int64_t cpu_energy_bytes(const Network& network, std::int64_t batch, Precision precision,
                              int threads) {
  const LoweredNetwork lowered = lower(network, Executor::cpu);
  std::int64_t shared = 0;
  std::int64_t own = 0;
  CpuBytes whole;
  const std::optional<std::vector<int>> widths = perceptron_widths(network);
  const int capacity = widths ? kPointsPerTile : kImagesPerTile;
  if (widths) {
    whole = cpu_bytes(lowered, {.chains = capacity});
    shared = 4 * Perceptron::values(*widths);
    own = 4 * PerceptronChains::values(*widths);
  } else {
    const OperandType factors = factors_for(precision);
    whole = cpu_bytes(lowered, {.chains = capacity, .factors = factors});
    const CpuBytes single = cpu_bytes(lowered, {.chains = 1, .factors = factors});
    const std::int64_t step =
        std::int64_t{4} * capacity * (network.input().size() + 1);  // f and its gradients
    shared = single.shared;
    own = single.own + step;
  }
  const std::int64_t gradients =
      weight_gradient_values(ceil_div(batch, capacity), threads, whole.gradient / 4);
  return shared + whole.shared + threads * (own + whole.own) + 4 * gradients;
}

}  // namespace ebm
