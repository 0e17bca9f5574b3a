// A network in float64 by loops written from the definitions: what the fast executors are tested
// against. It also says which of its branches float32 cannot decide.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/nn/network.h"

namespace ebm {

/// A LeakyReLU input next to 0, or the two largest inputs of a max-pool window next to each other:
/// closer than float32 rounding resolves, so a float32 program may take either branch. The energy
/// hardly depends on which, but its gradient jumps.
struct Branch {
  enum class Site { layer, phi, g };  ///< phi, g: the poolings inside a non-local block

  std::size_t layer = 0;  ///< counted in the order of the forward pass, a residual's layers, too
  Site site = Site::layer;
  std::int64_t index = 0;  ///< of the LeakyReLU's or pooling's output, channel-major
  double margin = 0;  ///< the distance to the other branch / the magnitude of what it is made of

  bool same_place(const Branch& other) const {
    return layer == other.layer && site == other.site && index == other.index;
  }
};

/// A branch is undecided when its margin is below this many float32 epsilons. Rounding errors of a
/// long sum largely cancel, so this many epsilons of the sum of absolute values is far outside
/// them.
inline constexpr double kUndecidedEpsilons = 2;

/// f(x; θ) of one state and its derivatives.
struct ReferenceEvaluation {
  double energy = 0;
  std::vector<double> input_gradient;      ///< ∇ₓf
  std::vector<double> parameter_gradient;  ///< ∇_θ f
  /// For every component of ∇_θ f, the sum of the absolute values of what is summed in it: the
  /// scale of its rounding errors, however much of the sum cancels.
  std::vector<double> parameter_magnitude;
  std::vector<Branch> undecided;
};

/// Evaluates one state. The branches named in `other_way` (their place counts, not their margin)
/// are taken the other way: a LeakyReLU uses its other slope, a pooling its second largest input.
ReferenceEvaluation evaluate_reference(const Network& network, std::span<const double> theta,
                                       std::span<const double> state,
                                       std::span<const Branch> other_way = {});

/// The same without ∇_θ f, which is a third of the work.
ReferenceEvaluation evaluate_reference_in_x(const Network& network, std::span<const double> theta,
                                            std::span<const double> state,
                                            std::span<const Branch> other_way = {});

/// The same where a program multiplies bfloat16: weights, and in the forward pass what they are
/// multiplied with, are rounded to it in every layer but the last, so that branches are taken as
/// the program takes them. Gradients are not rounded.
ReferenceEvaluation evaluate_reference_of_bfloat16(const Network& network,
                                                   std::span<const double> theta,
                                                   std::span<const double> state);

/// The same where a program rounds what it multiplies to tf32: weights, inputs and gradients of
/// every layer but the first and the last, which kernels in float32 compute.
ReferenceEvaluation evaluate_reference_of_tf32(const Network& network,
                                               std::span<const double> theta,
                                               std::span<const double> state);

/// The same where a device's tensor cores cut these instead, that is, leave out the low 13 bits of
/// a float.
ReferenceEvaluation evaluate_reference_of_cut_tf32(const Network& network,
                                                   std::span<const double> theta,
                                                   std::span<const double> state);

}  // namespace ebm
