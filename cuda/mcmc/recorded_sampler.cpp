#include "cuda/mcmc/recorded_sampler.h"

#include <algorithm>
#include <cmath>

namespace ebm {

RecordedSampler::RecordedSampler(Energy& energy, const Settings& settings, std::int64_t chains)
    : energy_(energy), queue_(energy.queue()), settings_(settings), chains_(chains) {
  const std::int64_t values = chains * energy.state_size();
  const auto floats = [&](std::int64_t count) { return Array<float>(queue_, count); };
  states_ = floats(values);
  f_ = floats(chains);
  gradients_ = floats(values);
  energies_there_ = floats(kStepsAtOnce * chains);
  gradient_norms_there_ = floats(kStepsAtOnce * chains);
  if (settings.mala) {
    momenta_ = floats(values);
    proposals_ = floats(values);
    proposal_f_ = floats(chains);
    proposal_gradients_ = floats(values);
    log_ratios_ = floats(chains);
    accepted_there_ = floats(kStepsAtOnce * chains);
  }
}

ChainRun RecordedSampler::next_steps(int steps) const {
  const float epsilon = settings_.epsilon;
  const float temperature = settings_.temperature;
  const Purpose noise = settings_.mala ? Purpose::sampling_momentum : Purpose::sampling_langevin;
  const auto [lowest, highest] = settings_.clamp.value_or(std::pair(-INFINITY, INFINITY));
  return {.mala = settings_.mala,
          .update = {.epsilon = epsilon,
                     .gradient_scale =
                         epsilon > 0 ? epsilon * epsilon / (2 * temperature) : 1 / temperature,
                     .lowest = lowest,
                     .highest = highest,
                     .noise = {settings_.seed, noise, settings_.stream},
                     .step = static_cast<std::uint32_t>(steps_)},
          .uniforms = {settings_.seed, Purpose::sampling_uniform, settings_.stream},
          .temperature = temperature,
          .steps = steps,
          .evaluated = steps_ > 0};
}

/// At most kStepsAtOnce. What is given is where the energy computes.
void RecordedSampler::launch(int steps, const MalaStep* schedule, const float* noise,
                             const float* uniforms) {
  energy_.run(next_steps(steps), {.count = chains_,
                                  .memory = {.states = states_.data(),
                                             .f = f_.data(),
                                             .gradients = gradients_.data(),
                                             .momenta = momenta_.data(),
                                             .proposals = proposals_.data(),
                                             .proposal_f = proposal_f_.data(),
                                             .proposal_gradients = proposal_gradients_.data(),
                                             .log_ratios = log_ratios_.data()},
                                  .energies = energies_there_.data(),
                                  .gradient_norms = gradient_norms_there_.data(),
                                  .accepted = accepted_there_.data(),
                                  .schedule = schedule,
                                  .given_noise = noise,
                                  .given_uniforms = uniforms});
  steps_ += steps;
}

/// Brings the records of the last steps into the host's from row `done` on, and waits.
void RecordedSampler::read_block(int steps, std::size_t done) {
  const auto chains = static_cast<std::size_t>(chains_);
  const auto read = [&](const Array<float>& there, std::vector<float>& here) {
    copy(queue_, there.data(), static_cast<std::size_t>(steps) * chains,
         here.data() + done * chains);
  };
  read(energies_there_, energies_);
  read(gradient_norms_there_, gradient_norms_);
  if (settings_.mala) {
    read(accepted_there_, accepted_);
  }
  queue_.wait();
}

void RecordedSampler::make_room(int steps) {
  const auto records = static_cast<std::size_t>(steps) * static_cast<std::size_t>(chains_);
  energies_.resize(records);
  gradient_norms_.resize(records);
  accepted_.resize(settings_.mala ? records : 0);
}

void RecordedSampler::run(int steps, const float* given_noise, const float* given_uniforms) {
  make_room(steps);
  for (int done = 0; done < steps; done += kStepsAtOnce) {
    const int some = std::min(kStepsAtOnce, steps - done);
    const auto row = static_cast<std::size_t>(done);
    const auto given = [&](const float* values, std::size_t width) {
      return values == nullptr
                 ? Mirror<const float>()
                 : Mirror<const float>(
                       queue_, {values + row * width, static_cast<std::size_t>(some) * width});
    };
    const Mirror<const float> noise = given(given_noise, states_.size());
    const Mirror<const float> uniforms = given(given_uniforms, static_cast<std::size_t>(chains_));
    launch(some, nullptr, noise.data(), uniforms.data());
    read_block(some, row);
  }
}

void RecordedSampler::run_there(int steps, const MalaStep* schedule) {
  if (schedule_.size() == 0) {
    schedule_ = Array<MalaStep>(queue_, kStepsAtOnce);
  }
  copy(queue_, schedule, static_cast<std::size_t>(steps), schedule_.data());
  launch(steps, schedule_.data(), nullptr, nullptr);
}

void RecordedSampler::read_records(int steps) {
  make_room(steps);
  read_block(steps, 0);
}

std::span<const float> RecordedSampler::read_states() {
  if (queue_.on_cpu()) {
    return {states_.data(), states_.size()};
  }
  states_here_.resize(states_.size());
  copy(queue_, states_.data(), states_.size(), states_here_.data());
  queue_.wait();
  return states_here_;
}

RecordedChains RecordedSampler::read_chains() {
  const auto read = [&](const Array<float>& there) {
    std::vector<float> here(there.size());
    copy(queue_, there.data(), there.size(), here.data());
    return here;
  };
  RecordedChains chains{
      .steps = steps_, .states = read(states_), .f = read(f_), .gradients = read(gradients_)};
  queue_.wait();
  return chains;
}

void RecordedSampler::go_on_with(const RecordedChains& chains) {
  const auto write = [&](const std::vector<float>& here, Array<float>& there) {
    copy(queue_, here.data(), there.size(), there.data());
  };
  write(chains.states, states_);
  write(chains.f, f_);
  write(chains.gradients, gradients_);
  queue_.wait();
  steps_ = chains.steps;
}

std::size_t recorded_sampler_bytes(bool mala, std::int64_t chains, std::int64_t state_size) {
  // States and gradients, of MALA momenta, proposals and their gradients too; as many once more
  // while a graph's kernels are loaded. Records of some steps, and numbers of each chain.
  const std::int64_t of_state = mala ? 10 : 4;
  const std::int64_t of_chain = 3 * RecordedSampler::kStepsAtOnce + 16;
  return static_cast<std::size_t>(chains * (of_state * state_size + of_chain)) * sizeof(float);
}

std::vector<float> RecordedSampler::log_ratios() const {
  std::vector<float> here(log_ratios_.size());
  copy(queue_, log_ratios_.data(), here.size(), here.data());
  queue_.wait();
  return here;
}

}  // namespace ebm
