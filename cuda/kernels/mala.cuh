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

/// MALA (Besag, 1994; Roberts and Tweedie, 1996) for p ∝ exp(−U), U = f/T. With p ~ N(0, I),
///   x' = x − (ε²/2)∇U(x) + εp,   p' = p − (ε/2)(∇U(x) + ∇U(x')),
/// and a chain moves to x' when u < exp(U(x) + ½‖p‖² − U(x') − ½‖p'‖²), u ~ U(0, 1]. Its stationary
/// law is p itself at any ε. Within a box, p is 0 outside: a proposal that leaves it is refused.
/// One whose ratio is NaN is refused, too.
struct MalaUpdate {
  float epsilon = 0;      ///< above 0
  float temperature = 1;  ///< T
  RandomStream momenta{};
  RandomStream uniforms{};
  std::uint32_t step = 0;
  float lowest = -INFINITY;  ///< the box; infinite when there is none
  float highest = INFINITY;

  /// Components 4·group … 4·group+3 of one chain's p.
  EBM_HOST_DEVICE Floats4 momentum_of(std::uint32_t chain, std::uint32_t group) const {
    return normals(momenta.words(step, chain, group));
  }
  EBM_HOST_DEVICE float uniform_of(std::uint32_t chain) const {
    return uniform(uniforms.words(step, chain, 0).v[0]);
  }

  /// (ε²/2)/T: what ∇f is multiplied by in a step.
  EBM_HOST_DEVICE float gradient_scale() const { return epsilon * epsilon / (2 * temperature); }

  /// One component of x'.
  EBM_HOST_DEVICE float propose(float x, float gradient, float p) const {
    return x - gradient_scale() * gradient + epsilon * p;
  }

  /// One component's ½p² − ½p'², without the cancellation of the two squares; −∞ where x', the
  /// proposal's component, is outside the box.
  EBM_HOST_DEVICE float kinetic_loss(float gradient, float proposal_gradient, float p,
                                     float proposal) const {
    if (proposal < lowest || proposal > highest) {
      return -INFINITY;
    }
    const float kick = epsilon / (2 * temperature) * (gradient + proposal_gradient);
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
