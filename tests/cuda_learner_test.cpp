// What a device's learner promises besides the right numbers (which are trainer_test's): the host
// takes no part in an iteration, the memory is known beforehand, a run is the same bits every time.

#include "cuda/learning/cuda_learner.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cuda/device/cuda_survey.h"
#include "host/errors.h"
#include "host/training/compute_device.h"
#include "tests/kernel_launch.h"
#include "tests/numbers.h"
#include "tests/plan_folder.h"
#include "tests/temporary_folder.h"
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
  explicit SmallRun(const Network& net, Precision precision = Precision::fp32)
      : network(net),
        settings{.epsilon = 0.01F,
                 .steps = 3,
                 .init = InitialStates::persistent,
                 .batch_size = kBatch,
                 .limits = {1e9, 1e9, 1e12, 1e9}},
        images(numbers(static_cast<std::size_t>(kImages * net.input().size()), 1)),
        data(7, images, net.input().size(), 0.03F),
        state{.theta = initial_parameters(net, 7),
              .optimizer = Optimizer(Optimizer::Kind::adam, net.parameter_count()),
              .bank = PersistentBank(7, kImages, net.input().size())},
        learner(make_cuda_learner(network, settings, data,
                                  {.precision = precision, .plan_cache = plan_folder()})) {
    learner->begin(state, 7);
  }

  void iterate(std::int64_t number) {
    ASSERT_TRUE(learner->iterate({.number = number, .optimizer_rate = 1e-4}, never));
  }

  Network network;
  LearnerSettings settings;
  std::vector<float> images;
  ImageBatches data;
  LearnerState state;
  std::unique_ptr<Learner> learner;
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

TEST_P(CudaLearnerTest, TakesNoMoreMemoryThanItSays) {
  const std::size_t before = open_cuda_device(0);
  const SmallRun run(network());
  const std::size_t taken = before - open_cuda_device(0);
  const std::size_t said = cuda_learner_bytes(run.network, run.settings, true,
                                              std::ssize(run.images), kImages, Precision::fp32);
  EXPECT_LE(taken, said);
#ifdef EBM_EMULATED_CUDA  // where cuDNN takes nothing
  EXPECT_LE(said, 2 * taken) << "a run that fits might be refused";
#endif
}

TEST_P(CudaLearnerTest, RunsAreTheSameBits) {
  const auto learned = [](SmallRun run) {
    for (std::int64_t t = 1; t <= 3; ++t) {
      run.iterate(t);
    }
    std::vector<double> numbers;
    for (const IterationResult& result : run.learner->results(true)) {
      numbers.insert(numbers.end(), {result.d_s, result.r_s, result.largest_energy});
    }
    run.learner->synchronize();
    const std::span<const float> theta = run.state.theta.span();
    const std::span<const float> bank = std::as_const(*run.state.bank).states();
    numbers.insert(numbers.end(), theta.begin(), theta.end());
    numbers.insert(numbers.end(), bank.begin(), bank.end());
    return numbers;
  };
  EXPECT_EQ(learned(SmallRun(network())), learned(SmallRun(network())));
}

TEST_P(CudaLearnerTest, AnIterationThatIsGivenUpLeavesNoTrace) {
  SmallRun run(network());
  SmallRun other(network());
  run.iterate(1);
  EXPECT_FALSE(run.learner->iterate({.number = 2, .optimizer_rate = 1e-4}, [] { return true; }));
  run.iterate(2);
  other.iterate(1);
  other.iterate(2);
  EXPECT_EQ(run.learner->results(true).size(), 2U);
  for (SmallRun* each : {&run, &other}) {
    each->learner->synchronize();
  }
  EXPECT_TRUE(std::ranges::equal(run.state.theta.span(), other.state.theta.span()));
  EXPECT_TRUE(std::ranges::equal(run.state.bank->states(), other.state.bank->states()));
}

TEST(CudaNetwork, ThatOnlyTheCpuComputesIsRefused) {
  const Network network("flat", {1, 2, 2},
                        {{LayerKind::flatten, {}},
                         {LayerKind::conv, "a", 3, 3, 1, 1},
                         {LayerKind::leaky_relu, {}},
                         {LayerKind::linear, "b", 1}});
  const ComputeDevice device = choose_compute_device("cuda", Precision::fp32, network);
  const std::string message =
      message_of<ConfigurationError>([&] { make_energy(device, network, 1); });
  EXPECT_TRUE(mentions(message, {"cuda:0", "layer 1", "flatten", "--device cpu"})) << message;
}

}  // namespace
}  // namespace ebm
