// What must hold between the keys of a configuration, which no single key's range can say.
#pragma once

#include "host/config/config.h"
#include "host/config/yaml_tree.h"

namespace ebm {

/// Throws ConfigurationError naming a key, its value and the remedy unless `config` can be run.
/// `tree` is what it was read from and knows the places that errors name.
void check_rules(const TrainConfig& config, const YamlValue& tree);
void check_rules(const SampleConfig& config, const YamlValue& tree);

}  // namespace ebm
