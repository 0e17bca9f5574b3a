// What a device's learner promises besides the right numbers (which are algorithm_one_test's): the
// host takes no part in an iteration, the memory is known beforehand, a run is the same bits every
// time.

#include "cuda/learning/learner.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/device/cuda_status.h"
#include "cuda/nn/gpu/cuda_energy.h"
#include "host/training/compute_device.h"
#include "tests/cuda/nn/gpu/plan_folder.h"
#include "tests/support/host_energy.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/layers.h"
#include "tests/support/numbers.h"
#include "tests/support/temporary_folder.h"
#ifdef EBM_EMULATED_CUDA
#include "control.h"
#endif

namespace ebm {
namespace {

constexpr std::int64_t kImages = 20;
constexpr std::int64_t kBatch = 4;

bool never() { return false; }

/// A learner of a small image network with persistent chains, and what it needs.
struct SmallRun {
  explicit SmallRun(const Network& net)
      : network(net),
        settings{.epsilon = 0.01F,
                 .steps = 3,
                 .init = InitialStates::persistent,
                 .batch_size = kBatch,
                 .limits = {1e9, 1e9, 1e12, 1e9}},
        images(numbers(static_cast<std::size_t>(kImages * net.input().size()), 1)),
        state{.theta = initial_parameters(net, 7),
              .optimizer = OptimizerState(OptimizerState::Kind::adam, net.parameter_count()),
              .bank = initial_bank(7, kImages, net.input().size())},
        energy(make_cuda_energy(net, kBatch, Precision::fp32, plan_folder())),
        data(energy->queue(), 7, images, net.input().size(), 0.03F),
        learner(*energy, net.parameter_count(), settings, data) {
    learner.begin(state, 7);
  }

  void iterate(std::int64_t number) {
    ASSERT_TRUE(learner.iterate({.number = number, .optimizer_rate = 1e-4}, never));
  }

  Network network;
  LearnerSettings settings;
  std::vector<float> images;
  LearnerState state;
  std::unique_ptr<Energy> energy;
  ImageBatches data;
  Learner learner;
};

class CudaLearnerTest : public testing::TestWithParam<const char*> {
 protected:
  static Network network() { return published_network(GetParam(), 1, 4); }
};

INSTANTIATE_TEST_SUITE_P(Networks, CudaLearnerTest, testing::Values("vanilla", "nonlocal"),
                         [](const auto& instance) { return std::string(instance.param); });

#ifdef EBM_EMULATED_CUDA
TEST_P(CudaLearnerTest, AnIterationAllocatesNothingAndWaitsForNothingOfItsOwn) {
  SmallRun run(network());
  run.iterate(1);  // captures its graphs
  const emulated_cuda::Counts before = emulated_cuda::counts();
  constexpr std::int64_t kIterations = 3;
  for (std::int64_t t = 2; t < 2 + kIterations; ++t) {
    run.iterate(t);
  }
  const emulated_cuda::Counts after = emulated_cuda::counts();
  EXPECT_EQ(after.allocations, before.allocations);
  // Once a slice of sampling, for one of several iterations ago, so as not to run away from the
  // device.
  EXPECT_LE(after.synchronizations - before.synchronizations, kIterations);
  EXPECT_GT(after.graphs, before.graphs);
}
#endif

/// Bytes of the device that this program has. What other programs do there meanwhile does not
/// count, nor what a library takes for itself when it is loaded, as cuDNN its modules: both are
/// outside the pool.
std::size_t bytes_in_use() {
  cudaMemPool_t pool = nullptr;
  std::uint64_t used = 0;
  EBM_CHECK_CUDA(cudaDeviceGetDefaultMemPool(&pool, 0));
  EBM_CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
  return used;
}

TEST_P(CudaLearnerTest, TakesNoMoreMemoryThanItSays) {
  EBM_CHECK_CUDA(cudaDeviceSynchronize());  // what others have given back is back
  const std::size_t before = bytes_in_use();
  SmallRun run(network());
  run.iterate(1);
  std::vector<float> longrun(static_cast<std::size_t>(kBatch * run.network.input().size()));
  const Mirror<float> longrun_there(run.energy->queue(), longrun);
  run.learner.synchronize();
  const std::size_t taken = bytes_in_use() - before;
  const std::size_t said =
      learner_bytes(run.settings, run.network.input().size(), run.network.parameter_count(), true,
                    std::ssize(run.images), kImages) +
      cuda_energy_bytes(run.network, kBatch, Precision::fp32);
  EXPECT_LE(taken, said);
#ifdef EBM_EMULATED_CUDA  // where cuDNN takes nothing
  EXPECT_LE(said, 2 * taken) << "a run that fits might be refused";
#endif
}

TEST_P(CudaLearnerTest, RunsAreTheSameBits) {
  const auto learned = [] {
    SmallRun run(network());
    for (std::int64_t t = 1; t <= 3; ++t) {
      run.iterate(t);
    }
    std::vector<double> numbers;
    for (const IterationResult& result : run.learner.results(true)) {
      numbers.insert(numbers.end(), {result.d_s, result.mean_f_data, result.mean_f_samples,
                                     result.r_s, result.largest_energy});
    }
    run.learner.synchronize();
    const std::span<const float> theta = run.state.theta.span();
    const std::span<const float> bank = run.state.bank.span();
    numbers.insert(numbers.end(), theta.begin(), theta.end());
    numbers.insert(numbers.end(), bank.begin(), bank.end());
    return numbers;
  };
  EXPECT_EQ(learned(), learned());
}

TEST_P(CudaLearnerTest, AnIterationThatIsGivenUpLeavesNoTrace) {
  SmallRun run(network());
  SmallRun other(network());
  run.iterate(1);
  EXPECT_FALSE(run.learner.iterate({.number = 2, .optimizer_rate = 1e-4}, [] { return true; }));
  run.iterate(2);
  other.iterate(1);
  other.iterate(2);
  EXPECT_EQ(run.learner.results(true).size(), 2U);
  for (SmallRun* each : {&run, &other}) {
    each->learner.synchronize();
  }
  EXPECT_TRUE(std::ranges::equal(run.state.theta.span(), other.state.theta.span()));
  EXPECT_TRUE(std::ranges::equal(run.state.bank.span(), other.state.bank.span()));
}

/// Whose steps take an emulated device no time.
Network tiny_network() {
  return {"tiny", {1, 4, 4}, {conv("a", 2, 3, 1, 1), leaky_relu(), flatten(), linear("b", 1)}};
}

/// Two chains after some steps, and their norm sums.
std::vector<float> chains_after(HostEnergy& energy, std::span<const int> runs) {
  std::vector<float> states = numbers(2 * 16, 3);
  std::vector<float> norm_sums(2);
  ChainRun run{.update = {.epsilon = 0.1F, .noise = {5, Purpose::langevin, 2}}};
  for (const int steps : runs) {
    run.steps = steps;
    energy.langevin(run, states, norm_sums);
    run.update.step += static_cast<std::uint32_t>(steps);
  }
  states.insert(states.end(), norm_sums.begin(), norm_sums.end());
  return states;
}

TEST(CudaNetwork, ARunIsTheSameBitsHoweverItIsCutIntoGraphs) {
  const Network network = tiny_network();
  const auto energy =
      std::make_unique<HostEnergy>(make_cuda_energy(network, 2, Precision::fp32, plan_folder()));
  energy->set_parameters(numbers(static_cast<std::size_t>(network.parameter_count()), 4));
  const std::vector<float> one_by_one = chains_after(*energy, std::vector<int>(73, 1));
  EXPECT_EQ(chains_after(*energy, std::vector{73}), one_by_one);
  EXPECT_EQ(chains_after(*energy, std::vector{9, 10, 54}), one_by_one);
}

#ifdef EBM_EMULATED_CUDA
TEST(CudaNetwork, ARunIsFewGraphs) {
  const Network network = tiny_network();
  const auto energy =
      std::make_unique<HostEnergy>(make_cuda_energy(network, 2, Precision::fp32, plan_folder()));
  energy->set_parameters(numbers(static_cast<std::size_t>(network.parameter_count()), 4));
  for (const auto& [steps, graphs] :
       {std::pair(500, 10U), std::pair(100, 2U), std::pair(83, 1U + 3 + 3), std::pair(1, 1U)}) {
    const std::size_t before = emulated_cuda::counts().graphs;
    chains_after(*energy, std::vector{steps});
    EXPECT_EQ(emulated_cuda::counts().graphs - before, graphs) << steps;
  }
}
#endif

TEST(SamplingSlice, IsAWholeRunOrWholeGraphs) {
  constexpr std::int64_t kImage = 3 * 32 * 32;
  EXPECT_EQ(slice_steps(false, 100 * kImage, 500), 100);  // of 109 that there is time for
  EXPECT_EQ(slice_steps(false, 100 * kImage, 105), 105);
  EXPECT_EQ(slice_steps(false, 400 * kImage, 500), 20);
  EXPECT_EQ(slice_steps(false, 2000 * kImage, 500), 5);
  EXPECT_EQ(slice_steps(false, 60000 * kImage, 500), 1);
  EXPECT_EQ(slice_steps(false, 100 * 2, 500), 500);
  EXPECT_EQ(slice_steps(false, 100 * 2, 0), 1);
}

}  // namespace
}  // namespace ebm
