// Sampling allocates no memory: every call of malloc and its kin is counted, whoever makes it.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "cuda/mcmc/langevin.h"
#include "cuda/nn/energy.h"
#include "tests/run_training.h"

namespace {

std::atomic<std::int64_t> g_largest{0};
std::atomic<std::int64_t> g_bytes{0};

void count(std::size_t size) {
  const auto n = static_cast<std::int64_t>(size);
  g_bytes += n;
  for (std::int64_t seen = g_largest; seen < n && !g_largest.compare_exchange_weak(seen, n);) {
  }
}

}  // namespace

// glibc's own allocator under its other names: what malloc would have called.
extern "C" {
void* __libc_malloc(std::size_t size);  // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t alignment,
                      std::size_t size);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t size) {
  count(size);
  return __libc_malloc(size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  count(size);
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
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
  energy->set_parameters(initial_parameters(network, 1).span());
  std::vector<float> states(static_cast<std::size_t>(9 * network.input().size()));
  LangevinSampler sampler(0.01F);
  sampler.run(*energy, {1, Purpose::langevin, 1}, 0, 1, states);  // the sampler's own memory
  g_bytes = 0;
  g_largest = 0;
  sampler.run(*energy, {1, Purpose::langevin, 1}, 1, steps, states);
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

}  // namespace
}  // namespace ebm
