#include "cuda/nn/gpu/cuda_energy.h"

#include <utility>

#include "cuda/nn/gpu/cuda_context.h"
#include "cuda/nn/gpu/device_network.h"
#include "cuda/nn/gpu/device_perceptron.h"

namespace ebm {

std::unique_ptr<Energy> make_cuda_energy(const Network& network, std::int64_t capacity,
                                         Precision precision,
                                         const std::filesystem::path& plan_cache) {
  auto context = std::make_shared<CudaContext>(precision, plan_cache);
  return perceptron_widths(network) ? make_device_perceptron(std::move(context), network)
                                    : make_device_network(std::move(context), network, capacity);
}

std::unique_ptr<Features> make_cuda_features(const Network& network, std::int64_t capacity,
                                             Precision precision,
                                             const std::filesystem::path& plan_cache) {
  return make_device_features(std::make_shared<CudaContext>(precision, plan_cache), network,
                              capacity);
}

std::size_t cuda_energy_bytes(const Network& network, std::int64_t capacity, Precision precision) {
  return perceptron_widths(network) ? device_perceptron_bytes(network)
                                    : device_network_bytes(network, capacity, precision);
}

}  // namespace ebm
