// Times the Langevin step and a whole training iteration of the published networks, the toy's
// annealed importance sampling, and what the machine could do at most. tools/benchmark/run.sh runs
// it beside PyTorch. usage: ebm_benchmark BATCH[,BATCH...] [Google Benchmark's options]

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "cuda/base/buffer.h"
#include "cuda/base/openmp_threads.h"
#include "cuda/kernels/random_states.cuh"
#include "cuda/learning/learner.h"
#include "cuda/mcmc/annealed_importance.h"
#include "cuda/nn/cpu/cpu_energy.h"
#include "cuda/nn/lowering.h"
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
class Batch {
 public:
  Batch(const Case& what, int chains)
      : network_(published_network(what.network, what.channels, 32)),
        energy_(make_cpu_energy(network_)),
        runner_(*energy_),
        chains_(chains),
        states_(static_cast<std::size_t>(chains * network_.input().size())),
        norm_sums_(static_cast<std::size_t>(chains)) {
    energy_->set_parameters(initial_parameters(network_, kSeed).data());
    fill_uniform(energy_->queue(), {kSeed, Purpose::initial_states, 0}, 1, chains,
                 network_.input().size(), states_.data());
  }

  void run(int steps) {
    runner_.run(
        {.update = {.epsilon = kEpsilon,
                    .noise = {kSeed, Purpose::langevin, 0},
                    .step = next_step_},
         .steps = steps},
        {.count = chains_, .memory = {.states = states_.data()}, .norm_sums = norm_sums_.data()},
        never);
    next_step_ += static_cast<std::uint32_t>(steps);
  }

  static bool never() { return false; }
  const Network& network() const { return network_; }
  Energy& energy() { return *energy_; }
  std::span<const float> states() const { return states_.span(); }

 private:
  Network network_;
  std::unique_ptr<Energy> energy_;
  ChainRunner runner_;
  std::int64_t chains_;
  Buffer<float> states_;
  Buffer<float> norm_sums_;
  std::uint32_t next_step_ = 0;
};

void langevin_step(benchmark::State& state, const Case& what, int chains) {
  Batch batch(what, chains);
  batch.run(1);
  for (auto _ : state) {
    batch.run(what.steps);
  }
  state.counters["steps"] = what.steps;
  state.counters["operations"] = count_operations(batch.network()).langevin_step() * chains;
}

/// Algorithm 1: data and persistent chains drawn, L steps, both batches' gradient, Adam, the new θ.
void iteration(benchmark::State& state, const Case& what, int chains) {
  constexpr double kFar = 1e30;
  Batch batch(what, chains);
  const Network& network = batch.network();
  const std::int64_t size = network.input().size();
  ImageBatches data(batch.energy().queue(), kSeed, batch.states(), size, 0.03F);
  Learner learner(batch.energy(), network.parameter_count(),
                  {.epsilon = kEpsilon,
                   .steps = what.iteration_steps,
                   .batch_size = chains,
                   .limits = {kFar, kFar, kFar, kFar}},
                  data);
  LearnerState learned{
      .theta = initial_parameters(network, kSeed),
      .optimizer = OptimizerState(OptimizerState::Kind::adam, network.parameter_count()),
      .bank = initial_bank(kSeed, chains, size)};
  learner.begin(learned, kSeed);
  std::int64_t number = 0;
  for (auto _ : state) {
    learner.iterate({.number = ++number, .optimizer_rate = 1e-4}, Batch::never);
    learner.results(false);
  }
  state.counters["steps"] = what.iteration_steps;
}

/// Annealed importance sampling of the toy, by a path whose choice is not timed.
void annealing(benchmark::State& state, int chains, int temperatures) {
  const Case toy{"toy", 2, 1, 1};
  Batch batch(toy, 1);
  const BoxedEnergy box{.temperature = 0.125F * 0.125F / 2, .low = -2, .high = 2};
  const AnnealingPath path =
      choose_annealing_path(batch.energy(), box, chains, temperatures, kSeed);
  for (auto _ : state) {
    benchmark::DoNotOptimize(annealed_forward(batch.energy(), box, path, chains, kSeed));
  }
  state.counters["temperatures"] = temperatures;
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
  add("annealing/toy/1000", kIterationRepetitions,
      [](benchmark::State& state) { annealing(state, 1000, 10'000); });
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
  ebm::set_up_openmp(argv);
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
