// A network's operations for tiles of chains on the CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/nn/cpu/cpu_operation.h"
#include "cuda/nn/cpu/tile_energy.h"
#include "cuda/nn/lowering.h"
#include "cuda/nn/network.h"

namespace ebm {

/// A tile that also tells what the last operation is given, on the CPU in PyTorch's order.
class FeatureTile : public TileEnergy {
 public:
  virtual std::int64_t feature_size() const = 0;  ///< of one state
  virtual void features(const float* states, int chains, float* to) = 0;
};

/// What the threads share: every operation's plan for tiles of one size.
class CpuNetwork {
 public:
  CpuNetwork(const Network& network, const CpuTile& tile);

  /// Takes a new θ, in every layout that computing needs it in. No tile may be computing.
  void set_parameters(const float* theta);

  /// One thread's executor. It keeps `shared` alive.
  static std::unique_ptr<FeatureTile> make_tile(std::shared_ptr<const CpuNetwork> shared);

 private:
  friend class CpuNetworkTile;

  Shape input_;
  CpuTile tile_;
  LoweredNetwork lowered_;
  std::vector<std::unique_ptr<CpuPlan>> plans_;  // one an operation
};

}  // namespace ebm
