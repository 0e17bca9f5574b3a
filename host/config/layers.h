// A custom network's list of layers in YAML:
//
//     layers:
//       - conv: {outputs: 32, kernel: 3, stride: 1, padding: 1}
//       - leaky_relu
//       - max_pool
//       - flatten
//       - linear: {outputs: 1}
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cuda/nn/network.h"
#include "host/config/yaml_reader.h"

namespace ebm {

/// The keys of one layer; `Io` as in keys.h.
template <class Io, class AnyLayer>
void visit_layer(Io& io, AnyLayer& layer) {
  constexpr double kLargest = 65'536;
  if (layer.kind == LayerKind::conv || layer.kind == LayerKind::linear) {
    io.required({"outputs", layer.kind == LayerKind::conv ? "channels" : "numbers"}, layer.outputs,
                between(1, kLargest));
  }
  if (layer.kind == LayerKind::conv) {
    io.required({"kernel", "pixels a side"}, layer.kernel, between(1, 1024));
    io.optional({"stride", "pixels"}, layer.stride, between(1, 1024));
    io.optional({"padding", "pixels of zeros on each side"}, layer.padding, between(0, 1024));
  }
}

/// "layers: [...]", one line of YAML.
std::string to_yaml(std::span<const Layer> layers);

/// What to_yaml wrote. Parameters are named as a torch.nn.Sequential of these layers names
/// them, by their place in the list: "0.weight". Throws ConfigurationError whose message starts
/// with `place`.
std::vector<Layer> parse_layers(const std::string& yaml, const std::string& place);

/// Gives every layer of a list its key.
void number_layers(std::vector<Layer>& layers);

}  // namespace ebm
