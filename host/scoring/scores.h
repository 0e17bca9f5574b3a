// What an energy says of states: f and the size of its gradient, also as means over noisy copies.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/nn/energy.h"

namespace ebm {

/// Copies of a state with noise: x + deviation·z, z ~ N(0, I). Each state's are a function of the
/// seed and its number alone.
struct NoisyCopies {
  double deviation = 0;  ///< 0: the state as it is
  int draws = 1;
  std::uint64_t seed = 123;
};

/// A number for each state.
struct Scores {
  std::vector<float> f;
  std::vector<float> gradient_norm;  ///< ‖∇ₓf‖; empty where nobody asked for it
};

/// f and, with `norms`, ‖∇ₓf‖ of states of state_size() values each, as means over their copies,
/// summed in double precision. The same bits for any number of threads. The energy has its θ.
/// `gradients`, where not empty, takes ∇ₓf of each state's last copy.
Scores score_states(Energy& energy, std::span<const float> states, const NoisyCopies& copies,
                    bool norms, std::span<float> gradients = {});

}  // namespace ebm
