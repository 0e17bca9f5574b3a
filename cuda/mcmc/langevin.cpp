#include "cuda/mcmc/langevin.h"

#include <algorithm>
#include <numeric>

namespace ebm {
namespace {

/// Values that are moved between two looks at whether to stop: a second or two of a published
/// ConvNet's steps on two cores, and more than the toy's 500.
constexpr std::size_t kValuesAtOnce = std::size_t{1} << 22;

}  // namespace

double LangevinSampler::run(Energy& energy, const RandomStream& noise, std::uint32_t first_step,
                            int steps, std::span<float> states) {
  return *run(energy, noise, first_step, steps, states, [] { return false; });
}

std::optional<double> LangevinSampler::run(Energy& energy, const RandomStream& noise,
                                           std::uint32_t first_step, int steps,
                                           std::span<float> states,
                                           const std::function<bool()>& stop) {
  const std::size_t chains = states.size() / static_cast<std::size_t>(energy.state_size());
  if (norm_sums_.size() != chains) {
    norm_sums_ = Buffer<float>(chains);
  }
  std::ranges::fill(norm_sums_.span(), 0.0F);
  LangevinSteps run{.update = update_, .steps = steps};
  run.update.noise = noise;
  const int at_once =
      static_cast<int>(std::clamp(kValuesAtOnce / std::max(states.size(), std::size_t{1}),
                                  std::size_t{1}, static_cast<std::size_t>(std::max(steps, 1))));
  for (int done = 0; done < steps; done += at_once) {
    if (stop()) {
      return std::nullopt;
    }
    run.update.step = first_step + static_cast<std::uint32_t>(done);
    run.steps = std::min(at_once, steps - done);
    energy.langevin(run, states, norm_sums_.span());
  }
  const std::span<const float> sums = norm_sums_.span();
  return std::accumulate(sums.begin(), sums.end(), 0.0) /
         (static_cast<double>(steps) * static_cast<double>(chains));
}

}  // namespace ebm
