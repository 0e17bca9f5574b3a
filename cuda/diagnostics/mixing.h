// Have chains mixed? Split R̂ and effective sample sizes of one scalar quantity (an energy, say).
#pragma once

#include <cstdint>
#include <span>

#include "cuda/device/queue.h"

namespace ebm {

/// What Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021, "Rank-normalization, folding, and
/// localization: an improved R̂ for assessing convergence of MCMC") recommend to look at.
///
/// Every chain is split into its halves (an odd chain without its middle draw). A value of rank k
/// among all S draws, the mean of its ranks where several are equal, becomes
/// Φ⁻¹((k − 3/8)/(S + 1/4)).
///
/// - rhat: √(((n−1)/n W + B/n)/W) with W the mean variance within half chains of n draws and B/n
///   the variance of their means; the larger one for the rank-normalized values and for the
///   rank-normalized distances from their median. Chains that agree have at most 1.01.
/// - ess_bulk: so many independent draws would tell as much of the centre. S over the
///   auto-correlation time of the rank-normalized values: Geyer's (1992) initial monotone positive
///   sequence of auto-correlations that count the chains' disagreement as correlation.
/// - ess_tail: of the 5% and the 95% quantile, the smaller one: the same of x ≤ quantile.
///
/// NaN: all three where a draw is not finite or chains have fewer than 4 draws; rhat where all
/// draws are equal (then the effective sizes are S, and a tail likewise that holds all draws or
/// none).
struct Mixing {
  double rhat = 0;
  double ess_bulk = 0;
  double ess_tail = 0;
};

/// `draws` holds a row a draw with a value a chain, as energy.npy does. The same bits for any
/// number of threads. Sorting and ranking are the queue's work.
Mixing mixing(std::span<const float> draws, std::int64_t chains, const Queue& queue = {});

/// Have groups of chains that started differently forgotten where? Nested R̂ (Margossian, Hoffman,
/// Sountsov, Riou-Durand, Vehtari and Gelman, 2024, "Nested R̂: assessing the convergence of Markov
/// chain Monte Carlo when running many short chains"): √(1 + B/W) with B the variance of the
/// groups' means and W the mean over the groups of the variance of their chains' means and the mean
/// variance within chains; the larger one for the rank-normalized values and for the
/// rank-normalized distances from their median. Unlike rhat it is near 1 where single chains have
/// not gone everywhere but each group has: of M chains a group, 1 + 1/(2M) or so.
///
/// `draws` as above, at least 2 rows; a row's chains are `groups` ≥ 2 groups of equally many, at
/// least 2, one after another. NaN where a draw is not finite or all are equal.
double nested_rhat(std::span<const float> draws, std::int64_t chains, std::int64_t groups,
                   const Queue& queue = {});

}  // namespace ebm
