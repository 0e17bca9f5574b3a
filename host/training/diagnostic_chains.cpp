#include "host/training/diagnostic_chains.h"

#include <algorithm>
#include <vector>

#include "cuda/nn/host_states.h"

namespace ebm {
namespace {

/// Of a long run; its results do not depend on it, the memory that a learner says it takes does.
constexpr int kBetweenStops = 20;

}  // namespace

DiagnosticChains::DiagnosticChains(const TrainConfig& config, std::int64_t bank_rows,
                                   Energy& energy, Learner& learner)
    : config_(config),
      energy_(energy),
      learner_(learner),
      runner_(energy),
      landscape_chains_(config.landscape.kde.chains) {
  if (config.langevin.init == InitialStates::persistent) {
    landscape_chains_ = std::min(landscape_chains_, bank_rows);
  }
}

/// Some steps, in place; the noise is numbered by the iteration.
void DiagnosticChains::take_steps(Purpose noise, std::int64_t iteration, int first_step, int steps,
                                  std::int64_t chains, float* states) {
  Array<float> norm_sums(energy_.queue(), chains);
  clear(energy_.queue(), norm_sums.size(), norm_sums.data());
  const RandomStream stream{learner_.seed(), noise, static_cast<std::uint32_t>(iteration)};
  runner_.run(learner_.langevin_steps(stream, steps, static_cast<std::uint32_t>(first_step)),
              {.count = chains, .memory = {.states = states}, .norm_sums = norm_sums.data()},
              [] { return false; });
}

Buffer<float> DiagnosticChains::energies(std::span<const float> states) {
  Buffer<float> f(states.size() / static_cast<std::size_t>(energy_.state_size()));
  HostStates(energy_).energies(states, f.span());
  return f;
}

KernelDensity DiagnosticChains::short_run_density(std::int64_t iteration,
                                                  std::span<const float> axis) {
  const Queue& queue = energy_.queue();
  Buffer<float> states(static_cast<std::size_t>(landscape_chains_ * energy_.state_size()));
  Mirror<float> there(queue, states.span());
  learner_.draw_starts(config_.langevin.init, DataUse::landscape,
                       static_cast<std::uint32_t>(iteration), landscape_chains_, there.data());
  take_steps(Purpose::landscape_langevin, iteration, 0, config_.langevin.steps, landscape_chains_,
             there.data());
  there.read_back(queue);
  queue.wait();
  return gaussian_kde(queue, states.span(), config_.landscape.kde.bandwidth, axis);
}

bool DiagnosticChains::finish(LongRun& run, std::int64_t iteration, const StopRequest& stop,
                              const Record& record) {
  const Queue& queue = energy_.queue();
  const std::int64_t chains = config_.train.batch_size;
  Mirror<float> states(queue, run.states.span());
  Array<float> f(queue, chains);
  Array<float> gradients(queue, chains * energy_.state_size());
  Array<float> energies(queue, kBetweenStops * chains);
  Array<float> norms(queue, kBetweenStops * chains);
  std::vector<float> energies_here(energies.size());
  std::vector<float> norms_here(norms.size());
  if (run.steps == 0) {
    learner_.draw_starts(config_.longrun.init, DataUse::longrun,
                         static_cast<std::uint32_t>(iteration), chains, states.data());
  }
  const RandomStream noise{learner_.seed(), Purpose::longrun_langevin,
                           static_cast<std::uint32_t>(iteration)};
  const auto epsilon = static_cast<float>(config_.langevin.epsilon);
  while (run.steps < config_.longrun.steps && !stop()) {
    const int steps = std::min(kBetweenStops, config_.longrun.steps - run.steps);
    ChainRun next = learner_.langevin_steps(noise, steps, static_cast<std::uint32_t>(run.steps));
    next.temperature = epsilon > 0 ? epsilon * epsilon / 2 : 1;
    energy_.run(next,
                {.count = chains,
                 .memory = {.states = states.data(), .f = f.data(), .gradients = gradients.data()},
                 .energies = energies.data(),
                 .gradient_norms = norms.data()});
    const auto records = static_cast<std::size_t>(steps * chains);
    copy(queue, energies.data(), records, energies_here.data());
    copy(queue, norms.data(), records, norms_here.data());
    queue.wait();
    run.steps += steps;
    record(std::span(energies_here).first(records), std::span(norms_here).first(records));
  }
  states.read_back(queue);
  queue.wait();
  return run.steps >= config_.longrun.steps;
}

}  // namespace ebm
