// Whether MALA's step size suits the energy, by the share of proposals that it accepts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace ebm {

/// The step size whose acceptance is the best, 0.574, by that of `epsilon`: in equilibrium it is
/// 2Φ(−Kε³/2) for some K (Roberts and Rosenthal 1998, "Optimal scaling of discrete approximations
/// to Langevin diffusions"). At most ten times more or less; `rate` is from 0 to 1.
double suggested_epsilon(double epsilon, double rate);

/// Watches the rate of acceptance over the last hundred steps.
class AcceptanceWatch {
 public:
  static constexpr int kSteps = 100;
  static constexpr double kLeast = 0.1;
  static constexpr double kMost = 0.95;

  explicit AcceptanceWatch(double epsilon) : epsilon_(epsilon) {}

  /// The next step's share of chains that accepted. Once, when the rate of the last hundred is
  /// below 0.1 or above 0.95, what to say of it.
  std::optional<std::string> add(double share);

 private:
  double epsilon_;
  std::array<double, kSteps> shares_{};
  std::int64_t steps_ = 0;
  bool said_ = false;
};

}  // namespace ebm
