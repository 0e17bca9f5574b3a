// One step of the Metropolis-adjusted Langevin algorithm, in its Hamiltonian form: a momentum, one
// leapfrog step, and a decision for each chain.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/base/host_device.cuh"
#include "cuda/kernels/langevin_update.cuh"
#include "cuda/random/normal.cuh"
#include "cuda/random/philox.cuh"

namespace ebm {

/// ε and T of one step.
struct MalaStep {
  float epsilon = 0;
  float temperature = 1;
};

/// MALA (Besag, 1994; Roberts and Tweedie, 1996) for p ∝ exp(−U), U = f/T. With p ~ N(0, I),
///   x' = x − (ε²/2)∇U(x) + εp,   p' = p − (ε/2)(∇U(x) + ∇U(x')),
/// and a chain moves to x' when u < exp(U(x) + ½‖p‖² − U(x') − ½‖p'‖²), u ~ U(0, 1]. Its stationary
/// law is p itself at any ε. In a box, outside which p is 0, a component that comes to a wall is
/// reflected: it keeps its way and turns its momentum round, which leaves volume and reversibility
/// as they are (Neal, 2011, "MCMC using Hamiltonian dynamics", section 5.5.1). A proposal whose
/// ratio is NaN is refused.
struct MalaUpdate {
  float epsilon = 0;      ///< above 0
  float temperature = 1;  ///< T
  RandomStream momenta{};
  RandomStream uniforms{};
  std::uint32_t step = 0;
  float lowest = -INFINITY;  ///< the box; both infinite when there is none
  float highest = INFINITY;
  /// Where not null: ε and T in place of those above, to be read when the step is computed.
  const MalaStep* given = nullptr;

  /// With the ε and T that are in force.
  EBM_HOST_DEVICE MalaUpdate in_force() const {
    MalaUpdate update = *this;
    if (given != nullptr) {
      update.epsilon = given->epsilon;
      update.temperature = given->temperature;
    }
    return update;
  }

  /// Components 4·group … 4·group+3 of one chain's p.
  EBM_HOST_DEVICE Floats4 momentum_of(std::uint32_t chain, std::uint32_t group) const {
    return normals(momenta.words(step, chain, group));
  }
  EBM_HOST_DEVICE float uniform_of(std::uint32_t chain) const {
    return uniform(uniforms.words(step, chain, 0).v[0]);
  }

  /// (ε²/2)/T: what ∇f is multiplied by in a step.
  EBM_HOST_DEVICE float gradient_scale() const { return epsilon * epsilon / (2 * temperature); }

  /// One component of x', and whether it came to a wall an odd number of times.
  struct Proposal {
    float x;
    bool is_turned;
  };
  EBM_HOST_DEVICE Proposal propose(float x, float gradient, float p) const {
    const float moved = x - gradient_scale() * gradient + epsilon * p;
    if (!(moved < lowest || moved > highest)) {
      return {moved, false};
    }
    const float side = highest - lowest;
    const float sides = floorf((moved - lowest) / side);
    const float rest = moved - lowest - sides * side;
    const bool is_turned = fmodf(sides, 2.0F) != 0;
    const float inside = is_turned ? highest - rest : lowest + rest;
    return {inside < lowest ? lowest : inside > highest ? highest : inside, is_turned};
  }

  /// One component's ½p² − ½p'², without the cancellation of the two squares, of a step from x.
  EBM_HOST_DEVICE float kinetic_loss(float x, float gradient, float proposal_gradient,
                                     float p) const {
    const float after = propose(x, gradient, p).is_turned ? -proposal_gradient : proposal_gradient;
    const float kick = epsilon / (2 * temperature) * (gradient + after);
    return kick * (p - 0.5F * kick);
  }

  /// The logarithm of the acceptance ratio.
  EBM_HOST_DEVICE double log_ratio(float f, float proposal_f, double kinetic_loss) const {
    return (static_cast<double>(f) - static_cast<double>(proposal_f)) /
               static_cast<double>(temperature) +
           kinetic_loss;
  }

  EBM_HOST_DEVICE static bool accepts(double log_ratio, float u) {
    return static_cast<double>(u) < exp(log_ratio);
  }
};

/// The chains of a step: `states` with their f and ∇f, and the memory for their proposals. States,
/// gradients and momenta are chains × state_size, the others chains.
struct ChainMemory {
  float* states = nullptr;
  float* f = nullptr;
  float* gradients = nullptr;
  float* momenta = nullptr;
  float* proposals = nullptr;
  float* proposal_f = nullptr;
  float* proposal_gradients = nullptr;
  float* log_ratios = nullptr;
};

/// Draws momenta and makes proposals from states and gradients; gradient_norms = ‖∇f‖ of the
/// states. Chains are numbered from first_chain in the random streams. `given_momenta`, when not
/// null, replaces the draws (chains × state_size).
void mala_propose(const MalaUpdate& update, std::uint32_t first_chain, int chains,
                  std::int64_t state_size, const float* given_momenta, const ChainMemory& tile,
                  float* gradient_norms);

/// Given the proposals' f and gradients, fills log_ratios, moves the chains that accept, with their
/// f and gradients, to their proposals, and sets accepted to 1 or 0. `given_uniforms`, when not
/// null, replaces the draws (chains).
void mala_decide(const MalaUpdate& update, std::uint32_t first_chain, int chains,
                 std::int64_t state_size, const float* given_uniforms, const ChainMemory& tile,
                 float* accepted);

#ifdef EBM_CUDA
/// The same, enqueued on a stream; the pointers are the device's. `counters`, when not null, one a
/// chain, take the place of update.step and first_chain; the decision goes on to the next step.
void mala_propose(const CudaStream& stream, const MalaUpdate& update, std::uint32_t first_chain,
                  int chains, std::int64_t state_size, const float* given_momenta,
                  const ChainMemory& tile, float* gradient_norms,
                  const ChainCounter* counters = nullptr);
void mala_decide(const CudaStream& stream, const MalaUpdate& update, std::uint32_t first_chain,
                 int chains, std::int64_t state_size, const float* given_uniforms,
                 const ChainMemory& tile, float* accepted, ChainCounter* counters = nullptr);
#endif

}  // namespace ebm
