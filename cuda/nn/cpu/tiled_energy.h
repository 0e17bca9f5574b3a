// The energy of a batch on the CPU: tiles of chains, each one thread's work.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "cuda/base/buffer.h"
#include "cuda/nn/cpu/tile_energy.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// A bound on the values that weight gradients of a batch of so many tiles take: a tile's is summed
/// in memory of its own, which is `values` or, for want of padding, a little less.
std::int64_t weight_gradient_values(std::int64_t tiles, std::int64_t threads, std::int64_t values);

/// An energy on the CPU. Chains are cut into tiles, a thread works on one tile at a time. A chain
/// is computed the same way in any tile; tiles that are summed over are of a fixed size whatever
/// the number of threads, and summed in their order. So results are the same bits for any number of
/// threads.
class TiledEnergy final : public Energy {
 public:
  /// One tile executor for each thread OpenMP would use now; set_parameters reaches them through
  /// `load`. Every tile must have the same capacity. θ has so many parameters.
  TiledEnergy(const std::function<std::unique_ptr<TileEnergy>()>& make_tile,
              std::function<void(const float*)> load, std::int64_t parameters);

  const Queue& queue() const override { return queue_; }
  std::int64_t state_size() const override { return tiles_.front()->state_size(); }
  std::int64_t capacity() const override { return std::numeric_limits<std::int64_t>::max(); }
  void set_parameters(const float* theta) override { load_(theta); }
  void energies(const float* states, std::int64_t count, float* f) override;
  void energies_and_gradients(const float* states, std::int64_t count, float* f,
                              float* gradients) override;
  void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                       float* theta_gradient) override;
  void run(const ChainRun& run, const Chains& chains) override;

 private:
  template <class Body>
  void for_each_tile(std::int64_t chains, const TileEnergy::Partition& cut, const Body& body);
  template <class Body>
  void for_each_tile(std::int64_t chains, const Body& body);  // cut as is best

  Queue queue_;                                     // the CPU's
  std::vector<std::unique_ptr<TileEnergy>> tiles_;  // one a thread
  std::function<void(const float*)> load_;
  std::int64_t parameters_;
  // Made when first needed, in the tiles' own order:
  std::vector<Buffer<float>> weight_gradients_;  // of a round's tiles
  Buffer<float> weight_gradient_sum_;            // of all rounds
};

}  // namespace ebm
