// An energy whose states are a test's vectors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cuda/device/array.h"
#include "cuda/nn/energy.h"
#include "cuda/nn/host_states.h"

namespace ebm {

/// Owns an energy, and adds to what HostStates does what only tests ask of the host's memory.
class HostEnergy : public HostStates {
 public:
  explicit HostEnergy(std::unique_ptr<Energy> energy)
      : HostStates(*energy), energy_(std::move(energy)) {}

  Energy& energy() const { return *energy_; }
  std::int64_t state_size() const { return energy_->state_size(); }

  /// f[i] of states[i], and theta_gradient += scale·Σᵢ ∂f(xᵢ)/∂θ.
  void add_weight_gradient(std::span<const float> states, float scale, std::span<float> f,
                           std::span<float> theta_gradient) {
    const Queue& queue = energy_->queue();
    const auto size = static_cast<std::size_t>(state_size());
    std::vector<float> gradient(theta_gradient.size());
    for (std::size_t first = 0; first < f.size();) {
      const std::size_t count =
          std::min(f.size() - first, static_cast<std::size_t>(energy_->capacity()));
      const Mirror<const float> x(queue, states.subspan(first * size, count * size));
      Mirror<float> f_there(queue, f.subspan(first, count));
      Mirror<float> gradient_there(queue, gradient);
      energy_->weight_gradient(x.data(), static_cast<std::int64_t>(count), scale, f_there.data(),
                               gradient_there.data());
      f_there.read_back(queue);
      gradient_there.read_back(queue);
      queue.wait();
      std::ranges::transform(theta_gradient, gradient, theta_gradient.begin(), std::plus<>());
      first += count;
    }
  }

  /// Langevin steps of norm_sums.size() chains, not recorded; adds each chain's Σ ‖∇ₓf‖ to
  /// norm_sums. `noise`, when there is any, replaces what would be drawn: steps × chains × state.
  /// Chains are numbered from `first`.
  void langevin(const ChainRun& run, std::span<float> states, std::span<float> norm_sums,
                std::span<const float> noise = {}, std::uint32_t first = 0) {
    const Queue& queue = energy_->queue();
    Mirror<float> x(queue, states);
    Mirror<float> sums(queue, norm_sums);
    const Mirror<const float> given(queue, noise);
    energy_->run(run, {.count = std::ssize(norm_sums),
                       .first = first,
                       .memory = {.states = x.data()},
                       .norm_sums = sums.data(),
                       .given_noise = noise.empty() ? nullptr : given.data()});
    x.read_back(queue);
    sums.read_back(queue);
    queue.wait();
  }

 private:
  std::unique_ptr<Energy> energy_;
};

}  // namespace ebm
