#include "host/scoring/scores.h"

#include <algorithm>
#include <cmath>

#include "cuda/device/array.h"
#include "cuda/kernels/random_states.cuh"

namespace ebm {
namespace {

double norm(std::span<const float> values) {
  double sum = 0;
  for (const double value : values) {
    sum += value * value;
  }
  return std::sqrt(sum);
}

/// Where an energy finds states and leaves what it computes, as many as it takes at once.
class Workplace {
 public:
  Workplace(Energy& energy, std::size_t states, bool gradients)
      : energy_(energy),
        size_(static_cast<std::size_t>(energy.state_size())),
        x_there_(energy.queue(), states * size_),
        f_there_(energy.queue(), states),
        gradients_there_(energy.queue(), gradients ? states * size_ : 0),
        f_(states),
        gradients_(gradients_there_.size()) {}

  /// Computes f and, if this has room for it, ∇f of a noisy copy of that shard of `states`.
  void compute(std::span<const float> states, const Shard& shard, const NoisyCopies& copies,
               int draw) {
    const Queue& queue = energy_.queue();
    const auto first = static_cast<std::size_t>(shard.first);
    copy(queue, states.data() + first * size_, values(shard), x_there_.data());
    if (copies.deviation > 0) {
      const RandomStream stream{copies.seed, Purpose::scoring_noise,
                                static_cast<std::uint32_t>(draw)};
      add_normal(queue, stream, static_cast<float>(copies.deviation), shard, energy_.state_size(),
                 x_there_.data());
    }
    if (gradients_.empty()) {
      energy_.energies(x_there_.data(), shard.count, f_there_.data());
    } else {
      energy_.energies_and_gradients(x_there_.data(), shard.count, f_there_.data(),
                                     gradients_there_.data());
      copy(queue, gradients_there_.data(), values(shard), gradients_.data());
    }
    copy(queue, f_there_.data(), static_cast<std::size_t>(shard.count), f_.data());
    queue.wait();
  }

  std::size_t values(const Shard& shard) const {
    return static_cast<std::size_t>(shard.count) * size_;
  }
  float f(std::size_t i) const { return f_[i]; }
  std::span<const float> gradient(std::size_t i) const {
    return std::span(gradients_).subspan(i * size_, size_);
  }

 private:
  Energy& energy_;
  std::size_t size_;
  Array<float> x_there_;
  Array<float> f_there_;
  Array<float> gradients_there_;
  std::vector<float> f_;
  std::vector<float> gradients_;
};

std::vector<float> means(std::span<const double> sums, int count) {
  std::vector<float> values(sums.size());
  std::ranges::transform(sums, values.begin(),
                         [count](double sum) { return static_cast<float>(sum / count); });
  return values;
}

}  // namespace

Scores score_states(Energy& energy, std::span<const float> states, const NoisyCopies& copies,
                    bool norms, std::span<float> gradients) {
  const std::int64_t total = std::ssize(states) / energy.state_size();
  const std::int64_t at_once = std::min(total, energy.capacity());
  std::vector<double> f_sums(static_cast<std::size_t>(total));
  std::vector<double> norm_sums(norms ? f_sums.size() : 0);
  Workplace place(energy, static_cast<std::size_t>(at_once), norms || !gradients.empty());
  for (std::int64_t first = 0; first < total; first += at_once) {
    const Shard shard(first, std::min(at_once, total - first), total);
    for (int draw = 0; draw < copies.draws; ++draw) {
      place.compute(states, shard, copies, draw);
      for (std::size_t i = 0; i < static_cast<std::size_t>(shard.count); ++i) {
        const std::size_t state = static_cast<std::size_t>(first) + i;
        f_sums[state] += place.f(i);
        if (norms) {
          norm_sums[state] += norm(place.gradient(i));
        }
        if (!gradients.empty()) {
          std::ranges::copy(
              place.gradient(i),
              gradients.begin() + static_cast<std::ptrdiff_t>(state * place.gradient(i).size()));
        }
      }
    }
  }
  return {means(f_sums, copies.draws), means(norm_sums, copies.draws)};
}

}  // namespace ebm
