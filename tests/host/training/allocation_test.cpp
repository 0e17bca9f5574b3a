// Memory: sampling allocates none, and a run needs no more than it is said to. Every call of malloc
// and its kin is counted, whoever makes it.

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/learning/energy_difference.h"
#include "cuda/mcmc/chain_runner.h"
#include "cuda/nn/cpu/cpu_energy.h"
#include "tests/support/layers.h"
#include "tests/support/run_training.h"

namespace {

std::atomic<std::int64_t> g_largest{0};  // asked for at once
std::atomic<std::int64_t> g_bytes{0};    // asked for
std::atomic<std::int64_t> g_live{0};     // not given back
std::atomic<std::int64_t> g_most_live{0};

void raise_to(std::atomic<std::int64_t>& most, std::int64_t n) {
  for (std::int64_t seen = most; seen < n && !most.compare_exchange_weak(seen, n);) {
  }
}

void* count(void* memory, std::size_t size) {
  const auto n = static_cast<std::int64_t>(size);
  g_bytes += n;
  raise_to(g_largest, n);
  raise_to(g_most_live, g_live += static_cast<std::int64_t>(malloc_usable_size(memory)));
  return memory;
}

}  // namespace

// glibc's own allocator under its other names: what malloc would have called.
extern "C" {
void* __libc_malloc(std::size_t size);  // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t alignment,
                      std::size_t size);  // NOLINT(bugprone-reserved-identifier)
void __libc_free(void* memory);           // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t size) noexcept { return count(__libc_malloc(size), size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return count(__libc_memalign(alignment, size), size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  *memory = count(__libc_memalign(alignment, size), size);
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) noexcept {
  g_live -= static_cast<std::int64_t>(malloc_usable_size(memory));
  __libc_free(memory);
}
}

namespace ebm {
namespace {

struct Allocations {
  std::int64_t bytes;
  std::int64_t largest;
};

Allocations allocations_of(const std::string& name, int steps) {
  const Network network = published_network(name, name == "toy" ? 2 : 1, 8);
  const auto energy = make_cpu_energy(network);
  energy->set_parameters(initial_parameters(network, 1).data());
  std::vector<float> states(static_cast<std::size_t>(9 * network.input().size()));
  std::vector<float> norm_sums(9);
  const Chains chains{
      .count = 9, .memory = {.states = states.data()}, .norm_sums = norm_sums.data()};
  ChainRun run{.update = {.epsilon = 0.01F, .noise = {1, Purpose::langevin, 1}}, .steps = 1};
  const auto never = [] { return false; };
  ChainRunner runner(*energy);
  runner.run(run, chains, never);
  g_bytes = 0;
  g_largest = 0;
  run.steps = steps;
  runner.run(run, chains, never);
  return {g_bytes, g_largest};
}

TEST(Sampling, OfAPerceptronAllocatesNothing) {
  const Threads one(1);
  EXPECT_EQ(allocations_of("toy", 100).bytes, 0);
}

class ConvNetSampling : public testing::TestWithParam<const char*> {};

TEST_P(ConvNetSampling, AllocatesNoMoreThanOneDnnsArgumentLists) {
  // oneDNN copies a primitive's list of arguments at each call, a few small nodes that no interface
  // of it avoids; states, activations and weights are never among them.
  const Threads one(1);
  EXPECT_LT(allocations_of(GetParam(), 10).largest, 1024);
}

INSTANTIATE_TEST_SUITE_P(Networks, ConvNetSampling, testing::Values("vanilla", "nonlocal"),
                         [](const auto& instance) { return std::string(instance.param); });

// How much memory, in bytes.

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;

/// What iteration_memory() is to be: the energy, and θ with its two gradients and f of both
/// batches.
std::int64_t said_memory(const Network& network, int batch, int threads) {
  return cpu_energy_bytes(network, batch, Precision::fp32, threads) +
         4 * (3 * network.parameter_count() + 3 * batch);
}

/// The most that one iteration takes at once, beyond its batches.
std::int64_t iteration_memory(const Network& network, int batch, int threads) {
  const Threads some(threads);
  std::vector<float> data(static_cast<std::size_t>(batch * network.input().size()), 0.5F);
  std::vector<float> samples = data;
  const std::int64_t before = g_live;
  g_most_live = before;
  const Buffer<float> theta = initial_parameters(network, 1);
  const auto energy = make_cpu_energy(network);
  energy->set_parameters(theta.data());
  std::vector<float> norm_sums(static_cast<std::size_t>(batch));
  energy->run(
      {.update = {.epsilon = 0.01F, .noise = {1, Purpose::langevin, 1}}, .steps = 1},
      {.count = batch, .memory = {.states = samples.data()}, .norm_sums = norm_sums.data()});
  EnergyDifference(*energy, 0.01F, batch, network.parameter_count())
      .compute(data.data(), samples.data());
  return g_most_live - before;
}

class WorkingMemory : public testing::TestWithParam<Network (*)()> {};

TEST_P(WorkingMemory, IsWhatItsOperationsSayWhateverTheBatch) {
  const Network network = GetParam()();
  iteration_memory(network, 1, 3);  // what libraries keep from their first use
  for (const int threads : {1, 3}) {
    const std::int64_t most = iteration_memory(network, 160, threads);
    const std::int64_t said = said_memory(network, 160, threads);
    EXPECT_LT(most, said) << threads << " threads";
    EXPECT_GT(most, said / 2) << threads << " threads: says too much";
    EXPECT_LT(iteration_memory(network, 200, threads) - most, 65536) << threads << " threads";
  }
}

Network strided_network() {
  return {"strided",
          {3, 32, 32},
          {conv("a", 16, 3, 1, 1), leaky_relu(), conv("b", 128, 4, 2, 1), leaky_relu(),
           conv("c", 256, 4, 2, 1), leaky_relu(), conv("d", 1, 8, 1, 0)}};
}

Network residual_network() {
  const auto block = [](const std::string& name) {
    return residual({silu(), conv(name + "1", 32, 3, 1, 1), silu(), conv(name + "2", 32, 1)});
  };
  return {"residual",
          {3, 32, 32},
          {conv("a", 32, 3, 1, 1), block("b"), max_pool(), block("c"), avg_pool(2), silu(),
           flatten(), linear("d", 40), leaky_relu(), linear("e", 1)}};
}

INSTANTIATE_TEST_SUITE_P(Networks, WorkingMemory,
                         testing::Values([] { return published_network("vanilla", 3, 16); },
                                         [] { return published_network("nonlocal", 3, 16); },
                                         strided_network, residual_network),
                         [](const auto& instance) { return instance.param().name(); });

TEST(Training, TakesWhatItsLogSays) {
  constexpr std::int64_t kImages = 4000;
  constexpr std::int64_t kOutputs = 8 * kMebibyte;  // pictures, logs, files on their way
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", kImages);
  TrainConfig config;
  config.data.kind = DataKind::mnist;
  config.data.path = (folder / "data").string();
  config.network = {.kind = NetworkKind::vanilla, .features = 8, .channels = 1};
  config.langevin.steps = 1;
  config.langevin.init = InitialStates::persistent;
  config.train = {.iterations = 2, .batch_size = 40};
  config.longrun.every = 0;
  const Threads two(2);
  const std::int64_t before = g_live;
  g_most_live = before;
  train(config, folder / "run");
  const ComputeDevice cpu;
  const Network network = published_network("vanilla", 1, 8);
  const auto said = static_cast<std::int64_t>(energy_bytes(cpu, network, 40) +
                                              learning_bytes(config, network, kImages, cpu));
  EXPECT_LT(g_most_live - before, said + kOutputs);
  EXPECT_GT(g_most_live - before, said * 3 / 4);
}

}  // namespace
}  // namespace ebm
