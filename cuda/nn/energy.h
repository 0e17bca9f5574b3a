// The energy f(x; θ) of a batch of states on a device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cuda/device/buffer.h"
#include "cuda/nn/network.h"
#include "cuda/nn/sampling_steps.h"
#include "cuda/nn/tile_energy.h"

namespace ebm {

/// An energy compiled for a device. p(x) ∝ exp(−U(x)), U = f/(ε²/2): low f is likely.
/// States are count × state_size() floats, channel-major.
class Energy {
 public:
  virtual ~Energy() = default;

  virtual std::int64_t state_size() const = 0;

  /// Takes a new θ; in force until the next call.
  virtual void set_parameters(std::span<const float> theta) = 0;

  /// f[i] of states[i]; f.size() states.
  virtual void energies(std::span<const float> states, std::span<float> f) = 0;

  /// f[i] and ∇ₓf of states[i].
  virtual void energies_and_gradients(std::span<const float> states, std::span<float> f,
                                      std::span<float> gradients) = 0;

  /// f[i] of states[i], and theta_gradient += scale·Σᵢ ∂f(xᵢ)/∂θ.
  virtual void add_weight_gradient(std::span<const float> states, float scale, std::span<float> f,
                                   std::span<float> theta_gradient) = 0;

  /// Runs norm_sums.size() chains in place, θ fixed; adds each chain's Σ_steps ‖∇ₓf‖ to norm_sums.
  virtual void langevin(const LangevinSteps& run, std::span<float> states,
                        std::span<float> norm_sums) = 0;

  /// Runs all of `chains` in place, θ fixed, and records every step.
  virtual void sample(const SamplingSteps& run, const SamplingChains& chains) = 0;
};

/// An energy on the CPU. Chains are cut into tiles of a fixed size whatever the number of threads,
/// a thread works on one tile at a time, and sums over tiles are taken in tile order, so results
/// are the same bits for any number of threads.
class TiledEnergy final : public Energy {
 public:
  /// One tile executor for each thread OpenMP would use now; set_parameters reaches them through
  /// `load`. Every tile must have the same capacity.
  TiledEnergy(const std::function<std::unique_ptr<TileEnergy>()>& make_tile,
              std::function<void(std::span<const float>)> load, std::int64_t parameter_count);

  std::int64_t state_size() const override { return tiles_.front()->state_size(); }
  void set_parameters(std::span<const float> theta) override;
  void energies(std::span<const float> states, std::span<float> f) override;
  void energies_and_gradients(std::span<const float> states, std::span<float> f,
                              std::span<float> gradients) override;
  void add_weight_gradient(std::span<const float> states, float scale, std::span<float> f,
                           std::span<float> theta_gradient) override;
  void langevin(const LangevinSteps& run, std::span<float> states,
                std::span<float> norm_sums) override;
  void sample(const SamplingSteps& run, const SamplingChains& chains) override;

 private:
  template <class Body>
  void for_each_tile(std::int64_t chains, const Body& body);

  std::vector<std::unique_ptr<TileEnergy>> tiles_;  // one a thread
  std::vector<Buffer<float>> weight_gradients_;     // of a round's tiles, made when first needed
  std::function<void(std::span<const float>)> load_;
  std::int64_t parameter_count_;
};

/// The network on the CPU, by oneDNN; a perceptron on 1×1 states runs its chains fused. θ must be
/// set before use.
std::unique_ptr<Energy> make_cpu_energy(const Network& network);

}  // namespace ebm
