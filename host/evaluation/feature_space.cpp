#include "host/evaluation/feature_space.h"

#include <fmt/format.h>

#include "cuda/base/errors.h"
#include "host/training/checkpoint.h"

namespace ebm {

FeatureSpace::FeatureSpace(const EvaluateConfig& config, const ComputeDevice& device,
                           const PrincipalComponents& components, const Shape& shape)
    : components_(components) {
  constexpr std::int64_t kAtOnce = 256;  // states
  const EvaluateSection& evaluate = config.evaluate;
  if (!evaluate.has_features()) {
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
  return network_ ? network_->size() : components_.components();
}

std::vector<float> FeatureSpace::features_of(std::span<const float> states) const {
  return network_ ? ebm::features_of(states, *network_) : components_.project(states);
}

}  // namespace ebm
