// A custom network's list of layers in YAML:
//
//     layers:
//       - conv: {outputs: 32, kernel: 3, stride: 1, padding: 1}
//       - leaky_relu
//       - residual: {layers: [silu, conv: {outputs: 32, kernel: 3, padding: 1}]}
//       - max_pool
//       - flatten
//       - linear: {outputs: 1}
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/nn/layer_type.h"
#include "cuda/nn/network.h"
#include "host/config/yaml_reader.h"

namespace ebm {

/// For an Io's list(): the names of layers, and a layer by its name's place among them.
inline std::span<const std::string_view> item_names(const Layer& /*layer*/) {
  return layer_type_names();
}
inline std::string_view item_name(const Layer& layer) { return layer.type->name; }
inline void name_item(Layer& layer, std::size_t place) {
  layer.type = layer_types()[place];
  for (const LayerKey& key : layer.type->keys) {
    layer.*key.value = key.fallback.value_or(layer.*key.value);
  }
}

/// The keys of one layer; `Io` as in keys.h.
template <class Io, class AnyLayer>
void visit_layer(Io& io, AnyLayer& layer) {
  for (const LayerKey& key : layer.type->keys) {
    const Range range = between(key.lowest, key.highest);
    if (key.fallback) {
      io.optional({key.name, key.about}, layer.*key.value, range);
    } else {
      io.required({key.name, key.about}, layer.*key.value, range);
    }
  }
  if (layer.type->holds_layers) {
    io.list({"layers", "a list like this one, whose output has its input's shape"}, layer.layers,
            [](auto& keys, auto& inner) { visit_layer(keys, inner); });
  }
}

/// "layers: [...]", one line of YAML.
std::string to_yaml(std::span<const Layer> layers);

/// What to_yaml wrote. Parameters are named as a torch.nn.Sequential of these layers names
/// them, by their place in the list: "0.weight"; of a residual's layers, "3.0.weight". Throws
/// ConfigurationError whose message starts with `place`.
std::vector<Layer> parse_layers(const std::string& yaml, const std::string& place);

/// Gives every layer of a list that has parameters its key, `prefix` and its place.
void number_layers(std::vector<Layer>& layers, const std::string& prefix = {});

}  // namespace ebm
