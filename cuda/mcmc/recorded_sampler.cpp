#include "cuda/mcmc/recorded_sampler.h"

namespace ebm {

RecordedSampler::RecordedSampler(Energy& energy, const Settings& settings, std::int64_t chains)
    : energy_(energy), settings_(settings), chains_(chains) {
  const auto count = static_cast<std::size_t>(chains);
  const auto values = count * static_cast<std::size_t>(energy.state_size());
  states_ = Buffer<float>(values);
  f_ = Buffer<float>(count);
  gradients_ = Buffer<float>(values);
  if (settings.mala) {
    momenta_ = Buffer<float>(values);
    proposals_ = Buffer<float>(values);
    proposal_f_ = Buffer<float>(count);
    proposal_gradients_ = Buffer<float>(values);
    log_ratios_ = Buffer<float>(count);
  }
}

void RecordedSampler::run(int steps, const float* given_noise, const float* given_uniforms) {
  const auto records = static_cast<std::size_t>(steps) * static_cast<std::size_t>(chains_);
  if (energies_.size() != records) {
    energies_ = Buffer<float>(records);
    gradient_norms_ = Buffer<float>(records);
    if (settings_.mala) {
      accepted_ = Buffer<float>(records);
    }
  }
  const Purpose noise = settings_.mala ? Purpose::sampling_momentum : Purpose::sampling_langevin;
  const SamplingSteps run{.mala = settings_.mala,
                          .epsilon = settings_.epsilon,
                          .temperature = settings_.temperature,
                          .noise = {settings_.seed, noise, 0},
                          .uniforms = {settings_.seed, Purpose::sampling_uniform, 0},
                          .first_step = static_cast<std::uint32_t>(steps_),
                          .steps = steps,
                          .evaluated = steps_ > 0,
                          .given_noise = given_noise,
                          .given_uniforms = given_uniforms};
  const SamplingChains chains{.count = chains_,
                              .memory = {.states = states_.data(),
                                         .f = f_.data(),
                                         .gradients = gradients_.data(),
                                         .momenta = momenta_.data(),
                                         .proposals = proposals_.data(),
                                         .proposal_f = proposal_f_.data(),
                                         .proposal_gradients = proposal_gradients_.data(),
                                         .log_ratios = log_ratios_.data()},
                              .energies = energies_.data(),
                              .gradient_norms = gradient_norms_.data(),
                              .accepted = accepted_.data()};
  energy_.sample(run, chains);
  steps_ += steps;
}

}  // namespace ebm
