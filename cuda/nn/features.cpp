#include "cuda/nn/features.h"

#include <algorithm>
#include <string>
#include <utility>

#include "cuda/device/array.h"
#include "cuda/nn/layers/convolution.h"
#include "cuda/nn/layers/flatten.h"

namespace ebm {

Network feature_network(const Shape& states, std::vector<Layer> layers) {
  layers.push_back({.type = &kFlattenLayer});
  layers.push_back({.type = &kLinearLayer, .key = std::string(kFeatureHead), .outputs = 1});
  return {"features", states, std::move(layers)};
}

void set_parameters(Features& features, std::span<const float> theta) {
  const Mirror<const float> there(features.queue(), theta);
  features.set_parameters(there.data());
  features.queue().wait();
}

std::vector<float> features_of(std::span<const float> states, Features& features) {
  const auto from = static_cast<std::size_t>(features.state_size());
  const auto to = static_cast<std::size_t>(features.size());
  const std::size_t total = states.size() / from;
  std::vector<float> found(total * to);
  for (std::size_t first = 0; first < total;) {
    const auto count = std::min(static_cast<std::int64_t>(total - first), features.capacity());
    const auto some = static_cast<std::size_t>(count);
    const Mirror<const float> x(features.queue(), states.subspan(first * from, some * from));
    Mirror<float> there(features.queue(), std::span(found).subspan(first * to, some * to));
    features.compute(x.data(), count, there.data());
    there.read_back(features.queue());
    features.queue().wait();
    first += some;
  }
  return found;
}

}  // namespace ebm
