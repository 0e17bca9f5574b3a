// Boxes for states.
#pragma once

#include <optional>
#include <utility>

namespace ebm {

/// [low, high], what every component of a state is kept in, or none.
using Clamp = std::optional<std::pair<double, double>>;

/// The box of sampling: the training's, or another.
struct ClampChoice {
  bool trained = true;
  Clamp other{};

  bool operator==(const ClampChoice&) const = default;
};

}  // namespace ebm
