#include "cuda/mcmc/langevin.h"

#include <algorithm>
#include <numeric>

namespace ebm {

double LangevinSampler::run(Energy& energy, const RandomStream& noise, std::uint32_t first_step,
                            int steps, std::span<float> states) {
  const std::size_t chains = states.size() / static_cast<std::size_t>(energy.state_size());
  if (norm_sums_.size() != chains) {
    norm_sums_ = Buffer<float>(chains);
  }
  std::ranges::fill(norm_sums_.span(), 0.0F);
  LangevinSteps run{.update = update_, .steps = steps};
  run.update.noise = noise;
  run.update.step = first_step;
  energy.langevin(run, states, norm_sums_.span());
  const std::span<const float> sums = norm_sums_.span();
  return std::accumulate(sums.begin(), sums.end(), 0.0) /
         (static_cast<double>(steps) * static_cast<double>(chains));
}

}  // namespace ebm
