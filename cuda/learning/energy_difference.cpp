#include "cuda/learning/energy_difference.h"

#include <iterator>

#include "cuda/learning/iteration_numbers.cuh"

namespace ebm {

double energy_factor(float epsilon) {
  const auto e = static_cast<double>(epsilon);
  return e > 0 ? 2.0 / (e * e) : 1.0;
}

EnergyDifference::EnergyDifference(Energy& energy, float epsilon, const Shard& shard,
                                   std::int64_t parameters)
    : energy_(energy),
      factor_(energy_factor(epsilon)),
      shard_(shard),
      data_f_(energy.queue(), shard.count),
      sample_f_(energy.queue(), shard.count),
      gradient_(energy.queue(), parameters),
      sample_gradient_(energy.queue(), parameters) {}

void EnergyDifference::compute(const float* data, const float* samples) {
  const auto scale = static_cast<float>(factor_ / static_cast<double>(shard_.total));
  energy_.weight_gradient(data, shard_.count, scale, data_f_.data(), gradient_.data());
  energy_.weight_gradient(samples, shard_.count, scale, sample_f_.data(), sample_gradient_.data());
  subtract(energy_.queue(), std::ssize(gradient_), sample_gradient_.data(), gradient_.data());
}

}  // namespace ebm
