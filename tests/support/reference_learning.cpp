#include "tests/support/reference_learning.h"

#include <cmath>
#include <utility>

namespace ebm {
namespace {

/// Σ_j ((a_j − b_j) / magnitude_j)²: by how many roundings two gradients differ.
double distance(std::span<const float> a, std::span<const double> b,
                std::span<const double> magnitude) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    if (magnitude[j] > 0) {
      sum += std::pow((static_cast<double>(a[j]) - b[j]) / magnitude[j], 2);
    }
  }
  return sum;
}

}  // namespace

bool ReferenceGradient::vanishes(const ParameterTensor& tensor) const {
  constexpr double kNothingLeft = 1e-12;
  double squares = 0;
  double magnitude_squares = 0;
  for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
    const auto j = static_cast<std::size_t>(i);
    squares += value[j] * value[j];
    magnitude_squares += magnitude[j] * magnitude[j];
  }
  return squares < kNothingLeft * kNothingLeft * magnitude_squares;
}

ReferenceEnergyDifference::ReferenceEnergyDifference(Network network, double epsilon,
                                                     std::vector<double> data,
                                                     std::vector<double> samples)
    : network_(std::move(network)),
      factor_(epsilon > 0 ? 2 / (epsilon * epsilon) : 1),
      data_(std::move(data)),
      samples_(std::move(samples)) {}

ReferenceGradient ReferenceEnergyDifference::sum_over_chains(std::span<const double> theta,
                                                             std::vector<OpenChain>& open) const {
  ReferenceGradient gradient{.value = std::vector<double>(theta.size()),
                             .magnitude = std::vector<double>(theta.size())};
  const auto size = static_cast<std::size_t>(network_.input().size());
  for (const std::vector<double>* batch : {&data_, &samples_}) {
    const std::size_t chains = batch->size() / size;
    double& mean = batch == &data_ ? gradient.mean_f_data : gradient.mean_f_samples;
    const double weight = (batch == &data_ ? factor_ : -factor_) / static_cast<double>(chains);
    // Each batch on its own, so that what both have in common cancels exactly.
    std::vector<double> sum(theta.size());
    for (std::size_t chain = 0; chain < chains; ++chain) {
      const auto state = std::span<const double>(*batch).subspan(chain * size, size);
      ReferenceEvaluation evaluation = evaluate_reference(network_, theta, state);
      gradient.d_s += weight * evaluation.energy;
      mean += evaluation.energy / static_cast<double>(chains);
      gradient.undecided += evaluation.undecided.size();
      for (std::size_t j = 0; j < sum.size(); ++j) {
        sum[j] += evaluation.parameter_gradient[j];
        gradient.magnitude[j] += std::abs(weight) * evaluation.parameter_magnitude[j];
      }
      if (!evaluation.undecided.empty()) {
        open.push_back({state, weight, std::move(evaluation)});
      }
    }
    for (std::size_t j = 0; j < sum.size(); ++j) {
      gradient.value[j] += weight * sum[j];
    }
  }
  return gradient;
}

ReferenceGradient ReferenceEnergyDifference::at(std::span<const double> theta) const {
  std::vector<OpenChain> ignored;
  return sum_over_chains(theta, ignored);
}

ReferenceGradient ReferenceEnergyDifference::with_branches_of(std::span<const float> program,
                                                              std::span<const double> theta) const {
  std::vector<OpenChain> open;
  ReferenceGradient gradient = sum_over_chains(theta, open);
  double nearest = distance(program, gradient.value, gradient.magnitude);
  for (const OpenChain& chain : open) {
    std::vector<Branch> taken;
    std::vector<double> current = chain.evaluation.parameter_gradient;
    for (const Branch& branch : chain.evaluation.undecided) {
      taken.push_back(branch);
      std::vector<double> other =
          evaluate_reference(network_, theta, chain.state, taken).parameter_gradient;
      std::vector<double> value = gradient.value;
      for (std::size_t j = 0; j < value.size(); ++j) {
        value[j] += chain.weight * (other[j] - current[j]);
      }
      const double apart = distance(program, value, gradient.magnitude);
      if (apart < nearest) {
        nearest = apart;
        current = std::move(other);
        gradient.value = std::move(value);
        ++gradient.taken_other_way;
      } else {
        taken.pop_back();
      }
    }
  }
  return gradient;
}

void ReferenceAdam::step(double learning_rate, std::span<const double> gradient,
                         std::span<double> theta) {
  ++steps_;
  for (std::size_t j = 0; j < theta.size(); ++j) {
    first_[j] = 0.9 * first_[j] + 0.1 * gradient[j];
    second_[j] = 0.999 * second_[j] + 0.001 * gradient[j] * gradient[j];
  }
  move(learning_rate, theta);
}

void ReferenceAdam::move(double learning_rate, std::span<double> theta) const {
  const double first_scale = 1 - std::pow(0.9, steps_);
  const double second_scale = 1 - std::pow(0.999, steps_);
  for (std::size_t j = 0; j < theta.size(); ++j) {
    theta[j] -=
        learning_rate * (first_[j] / first_scale) / (std::sqrt(second_[j] / second_scale) + 1e-8);
  }
}

}  // namespace ebm
