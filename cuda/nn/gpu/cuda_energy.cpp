#include "cuda/nn/gpu/cuda_energy.h"

#include <utility>
#include <vector>

#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/device_network.h"
#include "cuda/nn/gpu/device_perceptron.h"
#include "cuda/nn/gpu/sharded_energy.h"

namespace ebm {

std::unique_ptr<Energy> make_cuda_energy(const Network& network, std::int64_t capacity,
                                         Precision precision,
                                         const std::filesystem::path& plan_cache, int shards) {
  const auto context = [&] { return std::make_shared<CudaContext>(precision, plan_cache); };
  if (perceptron_widths(network)) {
    return make_device_perceptron(context(), network);
  }
  std::vector<std::unique_ptr<Energy>> energies;
  for (int i = 0; i < shards; ++i) {
    energies.push_back(make_device_network(context(), network, shard_capacity(capacity, shards)));
  }
  return shards == 1
             ? std::move(energies[0])
             : std::make_unique<ShardedEnergy>(std::move(energies), network.parameter_count());
}

std::size_t cuda_energy_bytes(const Network& network, std::int64_t capacity, Precision precision,
                              int shards) {
  if (perceptron_widths(network)) {
    return device_perceptron_bytes(network);
  }
  const auto theta = static_cast<std::size_t>(4 * network.parameter_count());
  return static_cast<std::size_t>(shards) *
         (device_network_bytes(network, shard_capacity(capacity, shards), precision) + theta);
}

}  // namespace ebm
