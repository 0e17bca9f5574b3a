#include "cuda/learning/energy_difference.h"

#include <algorithm>
#include <numeric>

#include "cuda/kernels/largest.cuh"

namespace ebm {
namespace {

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

double energy_factor(float epsilon) {
  const auto e = static_cast<double>(epsilon);
  return e > 0 ? 2.0 / (e * e) : 1.0;
}

EnergyDifference::EnergyDifference(float epsilon) : factor_(energy_factor(epsilon)) {}

double EnergyDifference::operator()(Energy& energy, std::span<const float> data,
                                    std::span<const float> samples,
                                    std::span<float> theta_gradient) {
  const auto state = static_cast<std::size_t>(energy.state_size());
  const std::size_t data_count = data.size() / state;
  const std::size_t sample_count = samples.size() / state;
  if (energies_.size() < data_count + sample_count) {
    energies_ = Buffer<float>(data_count + sample_count);
  }
  const std::span<float> data_energies = energies_.span().first(data_count);
  const std::span<float> sample_energies = energies_.span().subspan(data_count, sample_count);
  if (sample_gradient_.size() < theta_gradient.size()) {
    sample_gradient_ = Buffer<float>(theta_gradient.size());
  }
  const auto mean_gradient = [&](std::span<const float> batch, std::span<float> energies,
                                 std::span<float> gradient) {
    std::ranges::fill(gradient, 0.0F);
    const double scale = factor_ / static_cast<double>(energies.size());
    energy.add_weight_gradient(batch, static_cast<float>(scale), energies, gradient);
  };
  mean_gradient(data, data_energies, theta_gradient);
  mean_gradient(samples, sample_energies, sample_gradient_.span().first(theta_gradient.size()));
  for (std::size_t i = 0; i < theta_gradient.size(); ++i) {
    theta_gradient[i] -= sample_gradient_[i];
  }
  count_ = data_count + sample_count;
  return factor_ * (mean(data_energies) - mean(sample_energies));
}

double EnergyDifference::largest_energy() const {
  const std::span<const float> energies = energies_.span().first(count_);
  return factor_ * static_cast<double>(largest_size(std::ssize(energies), energies.data()));
}

}  // namespace ebm
