// A batch in shards that a device computes side by side: each shard's states have the bits of the
// same states alone, and gradients of θ are added in the order of shards.

#include "cuda/nn/gpu/sharded_energy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cuda/mcmc/recorded_sampler.h"
#include "cuda/nn/gpu/cuda_energy.h"
#include "cuda/nn/gpu/device_filter.h"
#include "cuda/nn/network.h"
#include "tests/host_energy.h"
#include "tests/kernel_launch.h"
#include "tests/numbers.h"
#include "tests/plan_folder.h"

namespace ebm {
namespace {

constexpr std::int64_t kChains = 7;
constexpr int kShards = 3;
constexpr std::int64_t kLargest = 3;  // states of a shard

class ShardedEnergyTest : public testing::Test {
 protected:
  ShardedEnergyTest()
      : network_(published_network("nonlocal", 1, 2)),
        size_(static_cast<std::size_t>(network_.input().size())),
        sharded_(make(kChains, kShards)),
        alone_(make(kLargest, 1)) {
    sharded_->set_parameters(theta_);
    alone_->set_parameters(theta_);
  }

  std::unique_ptr<HostEnergy> make(std::int64_t capacity, int shards) const {
    return std::make_unique<HostEnergy>(
        make_cuda_energy(network_, capacity, Precision::fp32, plan_folder(), shards));
  }

  struct Part {
    std::size_t first;
    std::size_t count;
  };
  /// What each shard has of n states.
  static std::vector<Part> parts_of(std::int64_t n) {
    std::vector<Part> parts;
    for (std::int64_t i = 0; i < kShards; ++i) {
      const std::int64_t first = n * i / kShards;
      parts.push_back({static_cast<std::size_t>(first),
                       static_cast<std::size_t>(n * (i + 1) / kShards - first)});
    }
    return parts;
  }
  std::span<float> states_of(std::vector<float>& states, const Part& part) const {
    return std::span(states).subspan(part.first * size_, part.count * size_);
  }
  static std::span<float> values_of(std::vector<float>& values, const Part& part) {
    return std::span(values).subspan(part.first, part.count);
  }

  Network network_;
  std::size_t size_;
  std::unique_ptr<HostEnergy> sharded_;
  std::unique_ptr<HostEnergy> alone_;
  std::vector<float> theta_ =
      numbers(static_cast<std::size_t>(network_.parameter_count()), 1, 0.2F);
  std::vector<float> states_ = numbers(kChains * size_, 2);
};

TEST_F(ShardedEnergyTest, TakesAWholeBatch) { EXPECT_GE(sharded_->energy().capacity(), kChains); }

TEST_F(ShardedEnergyTest, EnergiesAndGradients) {
  for (const std::int64_t n :
       {kChains, std::int64_t{2}}) {  // of two states the first shard has none
    SCOPED_TRACE(n);
    const auto count = static_cast<std::size_t>(n);
    std::vector<float> f(count);
    std::vector<float> gradients(count * size_);
    sharded_->energies_and_gradients(std::span(states_).first(count * size_), f, gradients);
    std::vector<float> energies(count);
    sharded_->energies(std::span(states_).first(count * size_), energies);
    std::vector<float> f_alone(count);
    std::vector<float> gradients_alone(count * size_);
    for (const Part& part : parts_of(n)) {
      if (part.count > 0) {
        alone_->energies_and_gradients(states_of(states_, part), values_of(f_alone, part),
                                       states_of(gradients_alone, part));
      }
    }
    EXPECT_EQ(f, f_alone);
    EXPECT_EQ(energies, f_alone);
    EXPECT_EQ(gradients, gradients_alone);
  }
}

TEST_F(ShardedEnergyTest, WeightGradientIsTheSumInOrder) {
  for (const std::int64_t n : {kChains, std::int64_t{2}}) {
    SCOPED_TRACE(n);
    const auto count = static_cast<std::size_t>(n);
    const auto parameters = static_cast<std::size_t>(network_.parameter_count());
    std::vector<float> f(count);
    std::vector<float> gradient(parameters);
    sharded_->add_weight_gradient(std::span(states_).first(count * size_), 0.5F, f, gradient);
    std::vector<float> f_alone(count);
    std::vector<float> sum(parameters);
    for (const Part& part : parts_of(n)) {
      std::vector<float> one(parameters);
      alone_->add_weight_gradient(states_of(states_, part), 0.5F, values_of(f_alone, part), one);
      std::ranges::transform(sum, one, sum.begin(), std::plus<>());
    }
    EXPECT_EQ(f, f_alone);
    EXPECT_EQ(gradient, sum);
  }
}

// 11 steps are graphs of two lengths.
TEST_F(ShardedEnergyTest, ChainsRunAsAlone) {
  for (const std::int64_t n : {kChains, 2 * kChains}) {  // and more chains than it takes at once
    SCOPED_TRACE(n);
    const auto count = static_cast<std::size_t>(n);
    const ChainRun run{.update = {.epsilon = 0.01F, .noise = {1, Purpose::langevin, 2}, .step = 3},
                       .steps = 11};
    const std::vector<float> start = numbers(count * size_, 3);
    std::vector<float> x = start;
    std::vector<float> sums(count, 1);
    sharded_->langevin(run, x, sums, {}, 10);
    std::vector<float> x_alone = start;
    std::vector<float> sums_alone(count, 1);
    for (const Part& part : parts_of(n)) {
      alone_->langevin(run, states_of(x_alone, part), values_of(sums_alone, part), {},
                       10 + static_cast<std::uint32_t>(part.first));
    }
    EXPECT_EQ(x, x_alone);
    EXPECT_EQ(sums, sums_alone);
  }
}

TEST_F(ShardedEnergyTest, ChainsWithGivenNoise) {
  constexpr int kSteps = 2;
  const ChainRun run{.update = {.epsilon = 0.01F}, .steps = kSteps};
  const std::vector<float> noise = numbers(kSteps * kChains * size_, 4);
  std::vector<float> x = states_;
  std::vector<float> sums(kChains);
  sharded_->langevin(run, x, sums, noise);
  std::vector<float> x_alone = states_;
  std::vector<float> sums_alone(kChains);
  for (const Part& part : parts_of(kChains)) {
    std::vector<float> own;
    for (std::size_t step = 0; step < kSteps; ++step) {
      const auto row =
          std::span(noise).subspan((step * kChains + part.first) * size_, part.count * size_);
      own.insert(own.end(), row.begin(), row.end());
    }
    alone_->langevin(run, states_of(x_alone, part), values_of(sums_alone, part), own);
  }
  EXPECT_EQ(x, x_alone);
  EXPECT_EQ(sums, sums_alone);
}

// Records of Langevin's and MALA's steps, in two shards and in two parts of one.
TEST_F(ShardedEnergyTest, RecordsAreEveryChainsOwn) {
  constexpr std::int64_t kRecorded = 2 * kLargest;
  const std::unique_ptr<HostEnergy> sharded = make(kRecorded, 2);
  sharded->set_parameters(theta_);
  for (const bool mala : {false, true}) {
    SCOPED_TRACE(mala);
    const auto record = [&](Energy& energy) {
      RecordedSampler sampler(
          energy, {.mala = mala, .epsilon = 0.01F, .temperature = 5e-5F, .seed = 4}, kRecorded);
      const std::span start = std::span(std::as_const(states_)).first(kRecorded * size_);
      const Mirror<const float> there(energy.queue(), start);
      copy_floats(energy.queue().stream(), sampler.states(), there.data(), std::ssize(start));
      std::vector<float> all;
      for (const int steps : {3, 2}) {
        sampler.run(steps);
        for (const std::span<const float> records :
             {sampler.read_states(), sampler.energies(), sampler.gradient_norms(),
              sampler.accepted()}) {
          all.insert(all.end(), records.begin(), records.end());
        }
      }
      return all;
    };
    EXPECT_EQ(record(sharded->energy()), record(alone_->energy()));
  }
}

}  // namespace
}  // namespace ebm
