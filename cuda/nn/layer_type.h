// What a kind of layer is: its row in the one table of them. A layer is added by its pair of files
// in layers/ and its row in layer_types.cpp; everything else reads the table.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "cuda/nn/network.h"

namespace ebm {

class Lowering;

/// A key of a layer in a list of layers; all are whole numbers.
struct LayerKey {
  using Number = int Layer::*;

  const char* name;
  std::string_view about;  ///< what it counts, in a few words
  Number value = nullptr;
  int lowest = 1;
  int highest = 1;
  std::optional<int> fallback{};  ///< none: the key is required
};

struct LayerType {
  std::string_view name;  ///< in lists of layers
  std::span<const LayerKey> keys{};
  bool holds_layers = false;  ///< it has a list of layers of its own, Layer::layers

  /// The shape behind it; throws std::invalid_argument with the reason where it does not fit.
  Shape (*out_shape)(const Layer& layer, const Shape& in);

  /// Appends its parameters to θ; null where there are none.
  void (*add_parameters)(const Layer& layer, const Shape& in, ParameterList& to) = nullptr;

  /// Appends the operations that compute it.
  void (*lower)(const Layer& layer, const Shape& in, Lowering& to);
};

/// Every kind of layer, in the order in which they are listed to users.
std::span<const LayerType* const> layer_types();
/// Their names, in the same order.
std::span<const std::string_view> layer_type_names();
/// The kind of that name; throws std::invalid_argument.
const LayerType& layer_type(std::string_view name);

/// Throws std::invalid_argument(reason) unless it fits: for LayerType::out_shape.
void require_fit(bool fits, const char* reason);

}  // namespace ebm
