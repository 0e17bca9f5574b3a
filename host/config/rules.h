// What must hold between the keys of a configuration, which no single key's range can say.
#pragma once

#include "host/config/config.h"
#include "host/config/config_errors.h"
#include "host/config/yaml_tree.h"

namespace ebm {

/// Adds an error that names a key, its value and the remedy for everything that keeps `config` from
/// being run. `tree` is what it was read from and knows the places that errors name. Nothing is
/// said of values that were refused already.
void check_rules(const TrainConfig& config, const YamlValue& tree, ConfigErrors& errors);
void check_rules(const SampleConfig& config, const YamlValue& tree, ConfigErrors& errors);
void check_rules(const EvaluateConfig& config, const YamlValue& tree, ConfigErrors& errors);

}  // namespace ebm
