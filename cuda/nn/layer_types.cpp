#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <stdexcept>
#include <string>

#include "cuda/nn/layer_type.h"
#include "cuda/nn/layers/avg_pool.cuh"
#include "cuda/nn/layers/convolution.h"
#include "cuda/nn/layers/flatten.h"
#include "cuda/nn/layers/leaky_relu.h"
#include "cuda/nn/layers/max_pool.h"
#include "cuda/nn/layers/nonlocal.h"
#include "cuda/nn/layers/residual.cuh"
#include "cuda/nn/layers/silu.cuh"

namespace ebm {
namespace {

constexpr std::array kTypes = {
    &kConvolutionLayer, &kLeakyReluLayer, &kSiluLayer,   &kMaxPoolLayer,  &kAvgPoolLayer,
    &kNonlocalLayer,    &kFlattenLayer,   &kLinearLayer, &kResidualLayer,
};

}  // namespace

std::span<const LayerType* const> layer_types() { return kTypes; }

std::span<const std::string_view> layer_type_names() {
  static const auto kNames = [] {
    std::array<std::string_view, kTypes.size()> names;
    for (std::size_t i = 0; i < kTypes.size(); ++i) {
      names[i] = kTypes[i]->name;
    }
    return names;
  }();
  return kNames;
}

const LayerType& layer_type(std::string_view name) {
  for (const LayerType* type : kTypes) {
    if (type->name == name) {
      return *type;
    }
  }
  throw std::invalid_argument(fmt::format("there is no layer '{}'; there are {}", name,
                                          fmt::join(layer_type_names(), ", ")));
}

void require_fit(bool fits, const char* reason) {
  if (!fits) {
    throw std::invalid_argument(reason);
  }
}

}  // namespace ebm
