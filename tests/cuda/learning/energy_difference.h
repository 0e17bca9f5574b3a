// d_s of a test's vectors.
#pragma once

#include <cstddef>
#include <iterator>
#include <numeric>
#include <span>
#include <vector>

#include "cuda/learning/energy_difference.h"
#include "tests/support/host_energy.h"

namespace ebm {

/// d_s of two batches of one size, and its gradient, which is overwritten.
inline double energy_difference(const HostEnergy& host, float epsilon, std::span<const float> data,
                                std::span<const float> samples, std::span<float> gradient) {
  Energy& energy = host.energy();
  const Queue& queue = energy.queue();
  const auto batch = std::ssize(data) / energy.state_size();
  const Mirror<const float> data_there(queue, data);
  const Mirror<const float> samples_there(queue, samples);
  EnergyDifference difference(energy, epsilon, batch, std::ssize(gradient));
  difference.compute(data_there.data(), samples_there.data());
  const auto count = static_cast<std::size_t>(batch);
  std::vector<float> data_f(count);
  std::vector<float> sample_f(count);
  copy(queue, difference.data_f(), count, data_f.data());
  copy(queue, difference.sample_f(), count, sample_f.data());
  copy(queue, difference.gradient(), gradient.size(), gradient.data());
  queue.wait();
  const auto mean = [&](const std::vector<float>& f) {
    return std::accumulate(f.begin(), f.end(), 0.0) / static_cast<double>(batch);
  };
  return difference.factor() * (mean(data_f) - mean(sample_f));
}

}  // namespace ebm
