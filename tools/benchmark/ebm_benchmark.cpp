// Times the Langevin step and a whole training iteration of the published networks, and what the
// machine could do at most. tools/benchmark/run.sh runs it beside PyTorch.
// usage: ebm_benchmark BATCH[,BATCH...] [Google Benchmark's options]

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cuda/device/buffer.h"
#include "cuda/kernels/random_states.cuh"
#include "cuda/learning/energy_difference.h"
#include "cuda/learning/optimizer.h"
#include "cuda/mcmc/langevin.h"
#include "cuda/nn/energy.h"
#include "cuda/nn/operation_count.h"
#include "tools/benchmark/machine_limits.h"

namespace ebm {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr float kEpsilon = 0.01F;
constexpr double kLeastSeconds = 0.25;
constexpr int kRepetitions = 7;           // the least time counts: others may use the machine
constexpr int kIterationRepetitions = 3;  // of what takes long

/// One of the published networks, on CIFAR-10's states.
struct Case {
  std::string network;
  int channels;
  int steps;            ///< timed in one go as a Langevin step
  int iteration_steps;  ///< of a whole iteration; the published ones are 150 to 500
};

/// A network, its energy and a batch, ready for sampling.
class Chains {
 public:
  Chains(const Case& what, int batch)
      : network_(published_network(what.network, what.channels, 32)),
        theta_(initial_parameters(network_, kSeed)),
        energy_(make_cpu_energy(network_)),
        states_(static_cast<std::size_t>(batch * network_.input().size())),
        sampler_(kEpsilon) {
    energy_->set_parameters(theta_.span());
    fill_uniform({kSeed, Purpose::initial_states, 0}, 1, batch, network_.input().size(),
                 states_.data());
  }

  void run(int steps) {
    sampler_.run(*energy_, {kSeed, Purpose::langevin, 0}, next_step_, steps, states_.span());
    next_step_ += static_cast<std::uint32_t>(steps);
  }

  const Network& network() const { return network_; }
  Buffer<float>& theta() { return theta_; }
  Energy& energy() { return *energy_; }
  std::span<const float> states() const { return states_.span(); }

 private:
  Network network_;
  Buffer<float> theta_;
  std::unique_ptr<Energy> energy_;
  Buffer<float> states_;
  LangevinSampler sampler_;
  std::uint32_t next_step_ = 0;
};

void langevin_step(benchmark::State& state, const Case& what, int batch) {
  Chains chains(what, batch);
  chains.run(1);
  for (auto _ : state) {
    chains.run(what.steps);
  }
  state.counters["steps"] = what.steps;
  state.counters["operations"] = count_operations(chains.network()).langevin_step() * batch;
}

/// Algorithm 1 without drawing data: L steps, both batches' gradient, Adam, the new θ in place.
void iteration(benchmark::State& state, const Case& what, int batch) {
  Chains chains(what, batch);
  Buffer<float> data(chains.states().size());
  std::ranges::copy(chains.states(), data.data());
  EnergyDifference energy_difference(kEpsilon);
  Optimizer optimizer(Optimizer::Kind::adam, chains.network().parameter_count());
  Buffer<float> gradient(chains.theta().size());
  for (auto _ : state) {
    chains.run(what.iteration_steps);
    energy_difference(chains.energy(), data.span(), chains.states(), gradient.span());
    optimizer.step(1e-4, gradient.span(), chains.theta().span());
    chains.energy().set_parameters(chains.theta().span());
  }
  state.counters["steps"] = what.iteration_steps;
}

void peak_arithmetic(benchmark::State& state, int threads) {
  constexpr std::int64_t kRounds = std::int64_t{1} << 20;
  double operations = 0;
  for (auto _ : state) {
#pragma omp parallel num_threads(threads) reduction(+ : operations)
    operations += multiply_add(kRounds);
  }
  state.counters["operations"] = operations / static_cast<double>(state.iterations());
}

void memory_bandwidth(benchmark::State& state) {
  constexpr std::size_t kValues = std::size_t{1} << 25;  // three times 128 MiB: in no cache
  Buffer<float> a(kValues);
  Buffer<float> b(kValues);
  Buffer<float> c(kValues);
  for (auto _ : state) {
    triad(a.span(), b.span(), c.span());
  }
  state.counters["bytes"] = 3.0 * kValues * sizeof(float);
}

template <class Function>
void add(const std::string& name, int repetitions, const Function& function) {
  benchmark::RegisterBenchmark(name.c_str(), function)
      ->UseRealTime()
      ->MinTime(kLeastSeconds)
      ->Repetitions(repetitions)
      ->Unit(benchmark::kMillisecond);
}

void add_all(const std::vector<int>& batches) {
  const std::vector<Case> cases{
      {"toy", 2, 500, 500}, {"vanilla", 3, 2, 20}, {"nonlocal", 3, 2, 20}};
  const int threads = omp_get_max_threads();
  add("peak/1", kRepetitions, [](benchmark::State& state) { peak_arithmetic(state, 1); });
  add(fmt::format("peak/{}", threads), kRepetitions,
      [threads](benchmark::State& state) { peak_arithmetic(state, threads); });
  add("bandwidth", kRepetitions, memory_bandwidth);
  for (const Case& what : cases) {
    for (const int batch : batches) {
      add(fmt::format("step/{}/{}", what.network, batch), kRepetitions,
          [what, batch](benchmark::State& state) { langevin_step(state, what, batch); });
    }
  }
  for (const Case& what : cases) {
    for (const int batch : batches) {
      add(fmt::format("iteration/{}/{}", what.network, batch), kIterationRepetitions,
          [what, batch](benchmark::State& state) { iteration(state, what, batch); });
    }
  }
}

}  // namespace
}  // namespace ebm

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::vector<int> batches;
  std::istringstream list(argc == 2 ? argv[1] : "");
  for (std::string batch; std::getline(list, batch, ',');) {
    batches.push_back(std::atoi(batch.c_str()));
  }
  if (batches.empty() || *std::ranges::min_element(batches) < 1) {
    fmt::print(stderr, "usage: ebm_benchmark BATCH[,BATCH...] [--benchmark_OPTION...]\n");
    return 2;
  }
  ebm::add_all(batches);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
