// The loss, its gradient and Adam in float64: what learning is tested against.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cuda/nn/network.h"
#include "tests/support/reference_network.h"

namespace ebm {

/// ∂d_s/∂θ, and how much of it float32 leaves open.
struct ReferenceGradient {
  double d_s = 0;
  double mean_f_data = 0;
  double mean_f_samples = 0;
  std::vector<double> value;
  std::vector<double> magnitude;  ///< the scale of each value's rounding; see ReferenceEvaluation
  std::size_t undecided = 0;      ///< branches, over all chains
  std::size_t taken_other_way = 0;

  /// Whether this tensor's gradient is zero in exact arithmetic, as that of the last bias is: of
  /// the magnitude of its terms nothing is left but float64 rounding.
  bool vanishes(const ParameterTensor& tensor) const;
};

/// d_s of a fixed pair of batches; see EnergyDifference.
class ReferenceEnergyDifference {
 public:
  ReferenceEnergyDifference(Network network, double epsilon, std::vector<double> data,
                            std::vector<double> samples);

  ReferenceGradient at(std::span<const double> theta) const;

  /// The same, with each undecided branch taken the way that brings the gradient nearer to a
  /// program's. What then still differs is not explained by branches.
  ReferenceGradient with_branches_of(std::span<const float> program,
                                     std::span<const double> theta) const;

 private:
  /// A chain with undecided branches.
  struct OpenChain {
    std::span<const double> state;
    double weight;  ///< of f(state) in d_s
    ReferenceEvaluation evaluation;
  };

  ReferenceGradient sum_over_chains(std::span<const double> theta,
                                    std::vector<OpenChain>& open) const;

  Network network_;
  double factor_;
  std::vector<double> data_;
  std::vector<double> samples_;
};

/// See AdamStep.
class ReferenceAdam {
 public:
  explicit ReferenceAdam(std::size_t parameters) : first_(parameters), second_(parameters) {}
  /// Goes on from the moments after so many steps.
  ReferenceAdam(int steps, std::vector<double> first, std::vector<double> second)
      : steps_(steps), first_(std::move(first)), second_(std::move(second)) {}

  void step(double learning_rate, std::span<const double> gradient, std::span<double> theta);
  /// The second half of a step, from moments that have the gradient in them.
  void move(double learning_rate, std::span<double> theta) const;

  const std::vector<double>& first_moments() const { return first_; }
  const std::vector<double>& second_moments() const { return second_; }

 private:
  int steps_ = 0;
  std::vector<double> first_;
  std::vector<double> second_;
};

}  // namespace ebm
