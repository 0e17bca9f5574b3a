// What moves chains, with more of them than a device runs blocks of at a time: see many_chains.h.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/kernels/langevin_update.cuh"
#include "cuda/kernels/mala.cuh"
#include "cuda/nn/gpu/perceptron_chain.cuh"
#include "tests/cuda/nn/gpu/many_chains.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

constexpr std::uint32_t kFirstChain = 5;

// ---- Perceptrons ----

/// A perceptron's layers, one after the other in θ.
struct Perceptron {
  explicit Perceptron(const std::vector<int>& layer_widths) : widths(layer_widths) {
    std::int64_t at = 0;
    for (std::size_t l = 1; l < widths.size(); ++l) {
      weights.push_back(at);
      at += std::int64_t{widths[l - 1]} * widths[l];
      biases.push_back(at);
      at += widths[l];
    }
    theta = numbers(size(at), 1, 0.3F);
  }
  DevicePerceptron on(const CudaStream& stream) const { return {stream, widths, weights, biases}; }

  std::vector<int> widths;
  std::vector<std::int64_t> weights;
  std::vector<std::int64_t> biases;
  Floats theta;
};

class ManyPerceptronChains : public testing::TestWithParam<std::vector<int>> {
 protected:
  const Perceptron net_{GetParam()};
  const Floats states_ = numbers(size(std::int64_t{kChains} * GetParam().front()), 2);
};

// The published toy network, whose chains have a kernel of their own, and another.
INSTANTIATE_TEST_SUITE_P(, ManyPerceptronChains,
                         testing::Values(std::vector{2, 32, 64, 64, 64, 1}, std::vector{3, 7, 1}),
                         [](const auto& test) { return test.param[0] == 2 ? "toy" : "other"; });

TEST_P(ManyPerceptronChains, Langevin) {
  const LangevinUpdate update{.epsilon = 0.1F, .noise = {1, Purpose::langevin, 2}, .step = 3};
  const Floats before = numbers(kChains, 3);
  expect_same_in_groups([&](int first, int count) {
    Floats states = part(states_, first, count);
    Floats norm_sums = part(before, first, count);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      net_.on(stream).langevin(stream, memory.in(net_.theta), update, 3,
                               static_cast<std::uint32_t>(first), count, nullptr,
                               memory.in_out(states), memory.in_out(norm_sums));
    });
    return Results{states, norm_sums};
  });
}

TEST_P(ManyPerceptronChains, EnergiesAndGradients) {
  expect_same_in_groups([&](int first, int count) {
    const Floats states = part(states_, first, count);
    Floats f(size(count));
    Floats gradients(states.size());
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      net_.on(stream).evaluate(stream, memory.in(net_.theta), memory.in(states), count,
                               memory.in_out(f), memory.in_out(gradients));
    });
    return Results{f, gradients};
  });
}

// Sums are taken of 128 states at a time, and those one after the other: the same is done here. A
// scale that is a power of two rounds nothing.
TEST_P(ManyPerceptronChains, WeightGradient) {
  constexpr int kAtATime = 128;
  const auto run = [&](int first, int count) {
    const std::size_t each = states_.size() / kChains;
    const auto begin = states_.begin() + std::ptrdiff_t(size(first) * each);
    const Floats states(begin, begin + std::ptrdiff_t(size(count) * each));
    Floats f(size(count));
    Floats gradient(net_.theta.size(), kNan);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      DevicePerceptron perceptron = net_.on(stream);
      perceptron.weight_gradient(stream, memory.in(net_.theta), memory.in(states), count, -0.5F,
                                 memory.in_out(f), memory.in_out(gradient));
    });
    return Results{f, gradient};
  };
  Floats f;
  Floats sum(net_.theta.size());
  for (int first = 0; first < kChains; first += kAtATime) {
    const Results some = run(first, std::min(kAtATime, kChains - first));
    f.insert(f.end(), some[0].begin(), some[0].end());
    for (std::size_t j = 0; j < sum.size(); ++j) {
      sum[j] += some[1][j];
    }
  }
  EXPECT_EQ(run(0, kChains), (Results{f, sum}));
  // Those 128 in groups: f only, as each group's sum is rounded.
  expect_same_in_groups([&](int first, int count) { return Results{run(first, count)[0]}; });
}

// ---- Steps of any network's states ----

class ManyChains : public testing::TestWithParam<std::int64_t> {
 protected:
  std::int64_t all() const { return kChains * GetParam(); }
  const Floats states_ = numbers(size(all()), 1);
  const Floats gradients_ = numbers(size(all()), 2);
};

// Whole groups of four normals, and a rest.
INSTANTIATE_TEST_SUITE_P(, ManyChains, testing::Values(192, 50), testing::PrintToStringParamName());

TEST_P(ManyChains, LangevinUpdate) {
  const LangevinUpdate update{.epsilon = 0.1F, .noise = {1, Purpose::langevin, 2}, .step = 3};
  const Floats before = numbers(kChains, 3);
  expect_same_in_groups([&](int first, int count) {
    Floats states = part(states_, first, count);
    Floats norm_sums = part(before, first, count);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      langevin_update(stream, update, kFirstChain + static_cast<std::uint32_t>(first), count,
                      GetParam(), memory.in(part(gradients_, first, count)), nullptr,
                      memory.in_out(states), memory.in_out(norm_sums));
    });
    return Results{states, norm_sums};
  });
}

TEST_P(ManyChains, MalaStep) {
  const MalaUpdate update{.epsilon = 0.3F,
                          .temperature = 0.7F,
                          .momenta = {3, Purpose::sampling_momentum, 0},
                          .uniforms = {3, Purpose::sampling_uniform, 0},
                          .step = 5};
  const Floats energies = numbers(kChains, 4);
  const Floats proposal_energies = numbers(kChains, 5);
  const Floats proposal_gradients = numbers(size(all()), 6);
  expect_same_in_groups([&](int first, int count) {
    Floats states = part(states_, first, count);
    Floats gradients = part(gradients_, first, count);
    Floats f = part(energies, first, count);
    Floats proposal_f = part(proposal_energies, first, count);
    Floats proposal_g = part(proposal_gradients, first, count);
    Floats momenta(states.size());
    Floats proposals(states.size());
    Floats log_ratios(size(count));
    Floats norms(size(count));
    Floats accepted(size(count), -1.0F);
    run_kernel([&](KernelMemory& memory, const CudaStream& stream) {
      const ChainMemory chains{memory.in_out(states),     memory.in_out(f),
                               memory.in_out(gradients),  memory.in_out(momenta),
                               memory.in_out(proposals),  memory.in_out(proposal_f),
                               memory.in_out(proposal_g), memory.in_out(log_ratios)};
      const std::uint32_t chain = kFirstChain + static_cast<std::uint32_t>(first);
      mala_propose(stream, update, chain, count, GetParam(), nullptr, chains, memory.in_out(norms));
      mala_decide(stream, update, chain, count, GetParam(), nullptr, chains,
                  memory.in_out(accepted));
    });
    return Results{states, f, gradients, momenta, proposals, log_ratios, norms, accepted};
  });
}

}  // namespace
}  // namespace ebm
