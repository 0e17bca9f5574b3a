#include <chrono>

#include "cuda/kernels/largest.cuh"
#include "cuda/learning/energy_difference.h"
#include "cuda/learning/learner.h"
#include "cuda/mcmc/langevin.h"

namespace ebm {
namespace {

class CpuLearner final : public Learner {
 public:
  CpuLearner(const Network& network, const LearnerSettings& settings, DataBatches& data,
             Precision precision)
      : settings_(settings),
        data_(data),
        energy_(make_cpu_energy(network, precision)),
        gradient_(static_cast<std::size_t>(network.parameter_count())),
        batch_(static_cast<std::size_t>(settings.batch_size * network.input().size())),
        chains_(batch_.size()),
        sampler_(settings.epsilon),
        energy_difference_(settings.epsilon) {
    if (settings.clamp) {
      sampler_.clamp_to(settings.clamp->first, settings.clamp->second);
    }
  }

  void begin(LearnerState& state, std::uint64_t seed) override {
    state_ = &state;
    seed_ = seed;
    has_result_ = false;
    data_.reseed(seed);
    if (state.bank) {
      state.bank->reseed(seed);
    }
    energy_->set_parameters(state.theta.span());
  }

  bool iterate(const Iteration& iteration, const std::function<bool()>& give_up) override;

  std::span<const IterationResult> results(bool /*all*/) override {
    return {&result_, std::exchange(has_result_, false) ? std::size_t{1} : std::size_t{0}};
  }
  void synchronize() override {}
  std::span<const float> chains() const override { return chains_.span(); }
  Energy& energy() override { return *energy_; }
  KernelDensity density(std::span<const float> states, double bandwidth,
                        std::span<const float> axis) override {
    return gaussian_kde(states, bandwidth, axis);
  }
  void profile(bool /*on*/) override {}

 private:
  void draw_starts(std::uint32_t t);
  void step_weights(double rate);

  LearnerSettings settings_;
  DataBatches& data_;
  std::unique_ptr<Energy> energy_;
  LearnerState* state_ = nullptr;
  std::uint64_t seed_ = 0;

  Buffer<float> gradient_;
  Buffer<float> batch_;   // X⁺
  Buffer<float> chains_;  // X⁻
  LangevinSampler sampler_;
  EnergyDifference energy_difference_;
  IterationResult result_;
  bool has_result_ = false;
};

bool CpuLearner::iterate(const Iteration& iteration, const std::function<bool()>& give_up) {
  const auto begin = std::chrono::steady_clock::now();
  const auto t = static_cast<std::uint32_t>(iteration.number);

  data_.draw(DataUse::batch, t, batch_.span());
  draw_starts(t);
  const std::optional<double> r_s = sampler_.run(*energy_, {seed_, Purpose::langevin, t}, 0,
                                                 settings_.steps, chains_.span(), give_up);
  if (!r_s) {
    return false;
  }
  const double d_s = energy_difference_(*energy_, batch_.span(), chains_.span(), gradient_.span());
  result_ = {.iteration = iteration,
             .d_s = d_s,
             .r_s = *r_s,
             .largest_energy = energy_difference_.largest_energy()};
  result_.fault = settings_.limits.check(d_s, *r_s, result_.largest_energy);
  if (result_.fault == Fault::none) {
    step_weights(iteration.optimizer_rate);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  result_.seconds = seconds.count();
  has_result_ = true;
  return true;
}

/// The rows of a persistent bank that chains start from are theirs until they are put back.
void CpuLearner::draw_starts(std::uint32_t t) {
  if (settings_.init == InitialStates::persistent) {
    state_->bank->draw(t, chains_.span());
  } else {
    draw_initial_states(settings_.init, DataUse::initial_states, seed_, t, settings_.noise_factor,
                        data_, nullptr, chains_.span());
  }
}

void CpuLearner::step_weights(double rate) {
  const std::span<float> theta = state_->theta.span();
  state_->optimizer.step(rate, gradient_.span(), theta);
  result_.largest_weight = largest_size(std::ssize(theta), theta.data());
  result_.fault = settings_.limits.check_weight(static_cast<double>(result_.largest_weight));
  if (result_.fault == Fault::none) {
    if (state_->bank) {
      state_->bank->put(chains_.span());
    }
    energy_->set_parameters(theta);
  }
}

}  // namespace

std::unique_ptr<Learner> make_cpu_learner(const Network& network, const LearnerSettings& settings,
                                          DataBatches& data, Precision precision) {
  return std::make_unique<CpuLearner>(network, settings, data, precision);
}

}  // namespace ebm
