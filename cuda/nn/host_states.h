// The energy of states in the host's memory.
#pragma once

#include <span>

#include "cuda/nn/energy.h"

namespace ebm {

/// Takes θ and states from the host and brings what the energy computes back, in parts as large as
/// it takes. Every call waits. The energy is borrowed.
class HostStates {
 public:
  explicit HostStates(Energy& energy) : energy_(energy) {}

  void set_parameters(std::span<const float> theta);

  /// f[i] of states[i]; f.size() states.
  void energies(std::span<const float> states, std::span<float> f);

  /// f[i] and ∇ₓf of states[i].
  void energies_and_gradients(std::span<const float> states, std::span<float> f,
                              std::span<float> gradients);

 private:
  Energy& energy_;
};

}  // namespace ebm
