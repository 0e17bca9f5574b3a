#include "host/training/divergence.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace ebm {
namespace {

std::string shown(double x) { return std::isnan(x) ? "nan" : fmt::format("{:.6g}", x); }

}  // namespace

std::string describe_divergence(const IterationResult& result, const DivergenceConfig& limits) {
  const auto describe = [](std::string_view what, double value, std::string_view key,
                           double limit) {
    return std::isfinite(value) ? fmt::format("{} is {} and beyond divergence.{}: {}", what,
                                              shown(value), key, limit)
                                : fmt::format("{} is {}", what, shown(value));
  };
  switch (result.fault) {
    case Fault::energy_difference:
      return describe("d_s", result.d_s, "energy_difference", limits.energy_difference);
    case Fault::gradient_strength:
      return describe("r_s", result.r_s, "gradient_strength", limits.gradient_strength);
    case Fault::energy:
      return describe("an energy", result.largest_energy, "energy", limits.energy);
    case Fault::weight:
      return describe("a weight", static_cast<double>(result.largest_weight), "weight",
                      limits.weight);
    case Fault::none:
      break;
  }
  return "";
}

}  // namespace ebm
