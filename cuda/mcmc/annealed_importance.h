// The normalizing constant of an energy in a box, from below and from above.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cuda/mcmc/recorded_sampler.h"
#include "cuda/nn/energy.h"

namespace ebm {

/// Z = ∫ exp(−U) over the box [low, high]^d, U = f/T: without a box the network's energy need not
/// be that of any density.
struct BoxedEnergy {
  float temperature = 1;
  float low = -1;
  float high = 1;
};

/// The way from the box's uniform law (β = 0) to p ∝ exp(−U) (β = 1): K + 1 inverse temperatures,
/// 0 = β_0 < … < β_K = 1, and the MALA step that leaves exp(−β_k U) as it is, k = 1 … K.
struct AnnealingPath {
  std::vector<double> beta;
  std::vector<MalaStep> steps;
};

/// Asked now and then whether to give annealing up. It does by throwing AnnealingStopped.
using StopAnnealing = std::function<bool()>;
struct AnnealingStopped {};

/// Chooses a path of `transitions` steps with chains that serve for nothing else: in levels between
/// which β·U varies by one standard deviation or less, at each of which ε is set so that about 0.57
/// of the proposals are accepted (Roberts and Rosenthal, 1998). Then the levels are divided: as
/// many transitions to each as β·U varies in it along single chains (the thermodynamic length of
/// what they go through), so that few are spent where chains no longer go from mode to mode. A
/// function of its arguments, the same bits for any number of threads. Throws Divergence when an
/// energy in the box is not finite, or where energies are so far apart that it would take more than
/// 200 levels and more than a fourth of the transitions. The energy is borrowed.
AnnealingPath choose_annealing_path(Energy& energy, const BoxedEnergy& box, std::int64_t chains,
                                    std::int64_t transitions, std::uint64_t seed,
                                    const StopAnnealing& stop = {});

/// The path of every n-th of its transitions (and the last one): shorter, for many moves.
AnnealingPath thinned(const AnnealingPath& path, std::size_t n);

/// Annealed importance sampling (Neal, 2001): chains start uniform and take the path's steps from
/// β_1 to β_K. With log w = −Σ_k (β_k − β_{k−1}) U(x_{k−1}), one a chain, E[w] = Z/(high − low)^d.
/// Throws Divergence when an energy is not finite.
std::vector<double> annealed_forward(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, std::int64_t chains,
                                     std::uint64_t seed, const StopAnnealing& stop = {});

/// The way back, from `states` (chains × state size, where the energy computes): log w =
/// Σ_k (β_k − β_{k−1}) U(x_{k−1}), and E[w] = (high − low)^d/Z if the states are drawn from p
/// itself (Burda, Grosse and Salakhutdinov, 2015; Grosse, Ghahramani and Adams, 2015). The states
/// are not changed.
std::vector<double> annealed_reverse(Energy& energy, const BoxedEnergy& box,
                                     const AnnealingPath& path, const float* states,
                                     std::int64_t chains, std::uint64_t seed,
                                     const StopAnnealing& stop = {});

/// Moves chains between modes that MALA does not go between: `rounds` times each is proposed the
/// end of a forward path of its own, of weight w', and accepts with probability min(1, w'/w), w
/// being the weight of the path that led to its state (at first 1/w of a way back from it). That
/// leaves p as it is, exactly, for any path (the independence sampler of Andrieu, Doucet and
/// Holenstein, 2010, section 2.4.1), so chains' law only comes closer to p. Returns the share of
/// accepted proposals. `states` as above; they are changed.
double annealed_moves(Energy& energy, const BoxedEnergy& box, const AnnealingPath& path, int rounds,
                      float* states, std::int64_t chains, std::uint64_t seed,
                      const StopAnnealing& stop = {});

/// What the log weights of a number of chains say of the logarithm of their weights' mean.
struct WeightMean {
  double log_mean = 0;        ///< log (1/n) Σ w
  double standard_error = 0;  ///< of log_mean, from the means of groups of chains
  double mean_log = 0;        ///< (1/n) Σ log w; by Jensen's inequality E log w ≤ log E w
  double mean_log_error = 0;  ///< its standard error
  double effective_size = 0;  ///< (Σ w)²/Σ w²
};

/// `groups` ≥ 2 of equally many chains; what is left over counts in the means alone.
WeightMean weight_mean(std::span<const double> log_weights, int groups);

/// log Z − log (high − low)^d from both sides. With n forward weights a group,
///   E log (1/n) Σ w ≤ log E w
/// by Jensen's inequality; with a weight 1/w of the way back from a draw of p in addition,
///   E log (1/(n + 1)) (1/w_back + Σ w) ≥ log E w,
/// since that minus log E w is a Kullback–Leibler divergence (Brekelmans, Huang, Ghassemi,
/// Ver Steeg, Grosse and Makhzani, 2022, "Improving mutual information estimation with annealed and
/// energy-based bounds"). Of one weight a group these are the bounds of Grosse,
/// Ghahramani and Adams; the gap of n goes as 1/n.
///
/// The lower bound holds as it is. The upper one has a condition: that the way back starts at draws
/// from p. Draws that lack a mode of p of mass m can be lower by as much as −log(1 − m), so chains
/// that started at data, and annealed_moves() of them, must have found every mode that counts: what
/// neither data nor any forward path comes to is in neither bound.
struct LogMeanBracket {
  double forward = 0;  ///< the mean of the groups' lower bounds
  double forward_error = 0;
  double reverse = 0;  ///< of the upper ones, each the mean over its group's ways back
  double reverse_error = 0;
  double effective_size = 0;  ///< of all forward weights

  /// The means are estimates: three standard errors, which with 20 groups is 0.4% of false alarms
  /// a side (Student's t of 19) where the weights vary so little that the bounds have no slack.
  double lower() const { return forward - 3 * forward_error; }
  double upper() const { return reverse + 3 * reverse_error; }
};

/// Of log weights of both ways, `groups` ≥ 2 of equally many each; what is left over does not
/// count. A group needs one weight of each way.
LogMeanBracket log_mean_bracket(std::span<const double> forward, std::span<const double> reverse,
                                int groups);

}  // namespace ebm
