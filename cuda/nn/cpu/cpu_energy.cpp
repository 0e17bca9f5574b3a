#include "cuda/nn/cpu/cpu_energy.h"

#include <omp.h>

#include <utility>

#include "cuda/nn/cpu/convolution.h"
#include "cuda/nn/cpu/cpu_network.h"
#include "cuda/nn/cpu/perceptron_tile.h"
#include "cuda/nn/cpu/split_tile.h"
#include "cuda/nn/cpu/tiled_energy.h"

namespace ebm {
namespace {

/// oneDNN picks a primitive's blocking by the number of threads it sees when the primitive is made.
/// Tiles are one thread's work, so primitives are made for one, and results do not depend on more.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

/// Small enough for a core's cache, large enough to keep its vector units busy.
constexpr int kImagesPerTile = 4;
constexpr int kPointsPerTile = 32;  // of weight gradients

}  // namespace

std::unique_ptr<Energy> make_cpu_energy(const Network& network, Precision precision) {
  const std::optional<std::vector<int>> widths = perceptron_widths(network);
  std::shared_ptr<Perceptron> perceptron = widths ? std::make_shared<Perceptron>(*widths) : nullptr;
  const bool rounded = precision == Precision::bf16 && have_bfloat16() && !perceptron;
  const OperandType factors = rounded ? OperandType::bfloat16 : OperandType::float32;
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

}  // namespace ebm
