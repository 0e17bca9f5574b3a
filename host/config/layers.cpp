#include "host/config/layers.h"

#include <fmt/format.h>

#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "host/config/yaml_tree.h"
#include "host/config/yaml_writer.h"

namespace ebm {

std::string to_yaml(std::span<const Layer> layers) {
  YamlWriter writer;
  writer.list("layers", layers, visit_layer<YamlWriter, const Layer>);
  return writer.finish();
}

std::vector<Layer> parse_layers(const std::string& yaml, const std::string& place) {
  constexpr std::size_t kLongest = 1 << 16;
  if (yaml.size() > kLongest) {
    throw ConfigurationError(
        fmt::format("{}: the list of layers is {} bytes long, and {} are the "
                    "most",
                    place, yaml.size(), kLongest));
  }
  ConfigErrors errors;
  const YamlValue tree = parse_yaml(yaml, {.name = place, .has_lines = false}, errors);
  YamlReader reader(tree, errors);
  std::vector<Layer> layers;
  reader.list("layers", layers, visit_layer<YamlReader, Layer>);
  reader.finish();
  errors.throw_if_any();
  number_layers(layers);
  return layers;
}

void number_layers(std::vector<Layer>& layers, const std::string& prefix) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string key = fmt::format("{}{}", prefix, i);
    if (layers[i].type->add_parameters != nullptr) {
      layers[i].key = key;
    }
    number_layers(layers[i].layers, key + ".");
  }
}

}  // namespace ebm
