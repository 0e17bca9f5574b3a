// Where samples are compared with data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cuda/diagnostics/principal_components.h"
#include "cuda/nn/features.h"
#include "host/config/config.h"
#include "host/training/compute_device.h"

namespace ebm {

/// The data's principal components, or the features of evaluate.features.
class FeatureSpace {
 public:
  /// The components are borrowed. Throws ConfigurationError or InputFileError for a network that
  /// cannot be had, or does not take states of this shape.
  FeatureSpace(const EvaluateConfig& config, const ComputeDevice& device,
               const PrincipalComponents& components, const Shape& shape);

  std::int64_t size() const;
  /// Rows of size() values.
  std::vector<float> features_of(std::span<const float> states) const;

 private:
  const PrincipalComponents& components_;
  std::unique_ptr<Features> network_;  // none: the components
};

}  // namespace ebm
