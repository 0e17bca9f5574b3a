// A batch cut into shards that a CUDA device computes side by side. In builds with CUDA only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/device/cuda_stream.h"
#include "cuda/device/device_buffer.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// The same energy several times, each on a stream of its own with its own share of the states: the
/// kernels of one shard run while those of another begin, end or wait. Chains never meet, so shards
/// run all steps of a run without waiting for each other. Its queue is the first shard's; work on
/// the others begins after what is on it and is waited for there. Of n states shard i of S has
/// those from ⌊n·i/S⌋, whatever the time each takes; gradients of θ are added in the order of
/// shards.
class ShardedEnergy final : public Energy {
 public:
  /// `shards`, at least one, are of one network, each on a stream of its own.
  ShardedEnergy(std::vector<std::unique_ptr<Energy>> shards, std::int64_t parameters);

  const Queue& queue() const override { return shards_[0]->queue(); }
  std::int64_t state_size() const override { return shards_[0]->state_size(); }
  std::int64_t capacity() const override { return capacity_; }
  void set_parameters(const float* theta) override;
  void energies(const float* states, std::int64_t count, float* f) override;
  void energies_and_gradients(const float* states, std::int64_t count, float* f,
                              float* gradients) override;
  void weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                       float* theta_gradient) override;
  void run(const ChainRun& run, const Chains& chains) override;

 private:
  template <class Work>
  void side_by_side(std::int64_t count, const Work& work);

  std::vector<std::unique_ptr<Energy>> shards_;
  std::int64_t capacity_ = 0;
  std::int64_t parameters_;
  DeviceBuffer<float> theta_gradients_;  // of all shards but the first
  CudaEvent begun_;
  std::vector<CudaEvent> done_;  // of all shards but the first
};

}  // namespace ebm
