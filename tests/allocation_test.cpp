// Sampling allocates no memory of its own: what a run of many steps allocates is what one step
// does.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "cuda/mcmc/langevin.h"
#include "cuda/nn/energy.h"
#include "tests/run_training.h"

namespace {

std::atomic<std::int64_t> g_largest{0};
std::atomic<std::int64_t> g_bytes{0};

void* count_and_allocate(std::size_t size, std::size_t alignment) {
  const auto n = static_cast<std::int64_t>(size);
  g_bytes += n;
  for (std::int64_t seen = g_largest; seen < n && !g_largest.compare_exchange_weak(seen, n);) {
  }
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return count_and_allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return count_and_allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

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
