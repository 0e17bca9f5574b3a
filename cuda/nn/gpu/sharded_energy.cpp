#include "cuda/nn/gpu/sharded_energy.h"

#include <cstddef>
#include <utility>

#include "cuda/nn/gpu/bias_activation.cuh"

namespace ebm {

ShardedEnergy::ShardedEnergy(std::vector<std::unique_ptr<Energy>> shards, std::int64_t parameters)
    : shards_(std::move(shards)),
      parameters_(parameters),
      theta_gradients_(queue().stream(),
                       static_cast<std::size_t>(parameters) * (shards_.size() - 1)),
      done_(shards_.size() - 1) {
  for (const auto& shard : shards_) {
    capacity_ += shard->capacity();
  }
}

/// work(i, first, some) gives shard i's queue what concerns `some` states from the one at `first`.
template <class Work>
void ShardedEnergy::side_by_side(std::int64_t count, const Work& work) {
  const CudaStream& stream = queue().stream();
  const auto shards = static_cast<std::int64_t>(shards_.size());
  stream.record(begun_);
  for (std::int64_t i = 0; i < shards; ++i) {
    const std::int64_t first = count * i / shards;
    const CudaStream& own = shards_[i]->queue().stream();
    if (i > 0) {
      own.wait_for(begun_);
    }
    work(i, first, count * (i + 1) / shards - first);
    if (i > 0) {
      own.record(done_[i - 1]);
    }
  }
  for (const CudaEvent& done : done_) {
    stream.wait_for(done);
  }
}

void ShardedEnergy::set_parameters(const float* theta) {
  side_by_side(
      0, [&](std::int64_t i, std::int64_t, std::int64_t) { shards_[i]->set_parameters(theta); });
}

void ShardedEnergy::energies(const float* states, std::int64_t count, float* f) {
  side_by_side(count, [&](std::int64_t i, std::int64_t first, std::int64_t some) {
    shards_[i]->energies(states + first * state_size(), some, f + first);
  });
}

void ShardedEnergy::energies_and_gradients(const float* states, std::int64_t count, float* f,
                                           float* gradients) {
  side_by_side(count, [&](std::int64_t i, std::int64_t first, std::int64_t some) {
    const std::int64_t at = first * state_size();
    shards_[i]->energies_and_gradients(states + at, some, f + first, gradients + at);
  });
}

void ShardedEnergy::weight_gradient(const float* states, std::int64_t count, float scale, float* f,
                                    float* theta_gradient) {
  const auto of_shard = [&](std::int64_t i) {
    return i == 0 ? theta_gradient : theta_gradients_.data() + (i - 1) * parameters_;
  };
  side_by_side(count, [&](std::int64_t i, std::int64_t first, std::int64_t some) {
    shards_[i]->weight_gradient(states + first * state_size(), some, scale, f + first, of_shard(i));
  });
  for (std::int64_t i = 1; i < static_cast<std::int64_t>(shards_.size()); ++i) {
    add(queue().stream(), parameters_, of_shard(i), theta_gradient);
  }
}

void ShardedEnergy::run(const ChainRun& run, const Chains& chains) {
  require_recorded_mala(run, chains);
  side_by_side(chains.count, [&](std::int64_t i, std::int64_t first, std::int64_t some) {
    if (some > 0) {
      shards_[i]->run(run, chains.part(first, some, state_size()));
    }
  });
}

}  // namespace ebm
