// The energy of a batch on the CPU: tiles of chains, each one thread's work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cuda/device/buffer.h"
#include "cuda/nn/energy.h"
#include "cuda/nn/tile_energy.h"

namespace ebm {

/// An energy on the CPU. Chains are cut into tiles, a thread works on one tile at a time. A chain
/// is computed the same way in any tile; tiles that are summed over are of a fixed size whatever
/// the number of threads, and summed in their order. So results are the same bits for any number of
/// threads.
class TiledEnergy final : public Energy {
 public:
  /// One tile executor for each thread OpenMP would use now; set_parameters reaches them through
  /// `load`. Every tile must have the same capacity.
  TiledEnergy(const std::function<std::unique_ptr<TileEnergy>()>& make_tile,
              std::function<void(std::span<const float>)> load);

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
  void for_each_tile(std::int64_t chains, const TileEnergy::Cut& cut, const Body& body);
  template <class Body>
  void for_each_tile(std::int64_t chains, const Body& body);  // cut as is best

  std::vector<std::unique_ptr<TileEnergy>> tiles_;  // one a thread
  std::function<void(std::span<const float>)> load_;
  // Made when first needed, in the tiles' own order:
  std::vector<Buffer<float>> weight_gradients_;  // of a round's tiles
  Buffer<float> weight_gradient_sum_;            // of all rounds
};

}  // namespace ebm
