#include "host/evaluation/feature_space.h"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/base/errors.h"
#include "host/training/checkpoint.h"

namespace ebm {

FeatureSpace::FeatureSpace(const EvaluateConfig& config, const ComputeDevice& device,
                           std::span<const float> data, const Shape& shape) {
  constexpr std::int64_t kComponents = 64;
  constexpr std::int64_t kAtOnce = 256;  // states
  const EvaluateSection& evaluate = config.evaluate;
  if (!evaluate.has_features()) {
    components_ = PrincipalComponents::fit(data, shape.size(), std::min(shape.size(), kComponents),
                                           config.seed);
    return;
  }
  const NetworkConfig layers = load_feature_layers(evaluate.feature_layers);
  if (layers.channels != shape.channels || layers.image_size != shape.height) {
    throw ConfigurationError(fmt::format(
        "evaluate.feature_layers: {} takes {} channels and {} pixels a side, but the states have "
        "{} and {}",
        evaluate.feature_layers, layers.channels, layers.image_size, shape.channels, shape.height));
  }
  const Network network = feature_network(shape, layers.layers);
  network_ = make_features(device, network, kAtOnce);
  set_parameters(*network_, load_feature_parameters(evaluate.features, network).span());
}

std::int64_t FeatureSpace::size() const {
  return components_ ? components_->components() : network_->size();
}

std::vector<float> FeatureSpace::features_of(std::span<const float> states) const {
  return components_ ? components_->project(states) : ebm::features_of(states, *network_);
}

}  // namespace ebm
