#include "cuda/nn/gpu/device_filter.h"

#include <numeric>

namespace ebm {

std::int64_t ConvolutionParameters::outputs() const {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0},
                         [](std::int64_t sum, const Part& part) { return sum + part.outputs; });
}

void ConvolutionParameters::add(const Network& network, const std::string& name) {
  const ParameterTensor& bias = network.parameter(name + ".bias");
  parts.push_back({network.parameter(name + ".weight").offset, bias.offset, bias.size});
}

}  // namespace ebm
