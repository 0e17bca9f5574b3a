// What an evaluation finds of a network, and what follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cuda/diagnostics/mixing.h"
#include "cuda/diagnostics/sample_distances.h"

namespace ebm {

/// The logarithm of Z = ∫ exp(−U) over the box, in nats, from both sides: see LogMeanBracket.
struct LogPartition {
  double forward = 0;  ///< from the box's uniform law; at most log Z but for chance
  double forward_se = 0;
  double reverse = 0;  ///< and back from long chains; at least log Z if they are draws of exp(−U)
  double reverse_se = 0;
  double ess = 0;    ///< of the forward weights
  double lower = 0;  ///< three standard errors below the forward one
  double upper = 0;  ///< and above the reverse one
};

/// U of states of the data's law.
struct DataEnergy {
  std::int64_t states = 0;
  double mean = 0;
  double error = 0;  ///< the mean's standard error
};

/// Chains of one start, by the second half of their records.
struct StartRecord {
  std::string name;  ///< data, noise or bank
  double mean = 0;   ///< of U
  double deviation = 0;
  Mixing energy;  ///< of U
};

/// A set of samples against the data.
struct ComparedSet {
  std::string name;  ///< held_out, short_run, bank, data_chains or noise_chains
  std::int64_t states = 0;
  SampleDistances distances;
};

/// The last iterations of training.
struct TrainingRecord {
  std::int64_t iterations = 0;  ///< that these are of
  double d_s_mean = 0;
  double d_s_deviation = 0;
  double r_s_mean = 0;
  double r_s_deviation = 0;
  double positive = 0;      ///< share of d_s above 0
  double sign_changes = 0;  ///< share of iterations at which the sign of d_s is another than before
  double d_s_lag_1 = 0;     ///< auto-correlations
  double r_s_lag_1 = 0;
  double cross_lag_1 = 0;  ///< of d_s with the r_s before it
  double band = 0;         ///< 95% of white noise's are within ± this
};

/// All of it.
struct Evaluation {
  std::string name;
  std::string network;
  std::int64_t iteration = 0;
  double temperature = 1;  ///< U = f/T
  std::int64_t dimensions = 0;
  std::pair<float, float> box;
  std::string box_reason;

  std::vector<StartRecord> starts;
  // Of U and the projections, the quantity whose nested R-hat over the starts data and noise is the
  // largest: that, and what all these chains together have.
  double nested_rhat = 0;
  Mixing across;
  std::string worst_quantity;
  double left_box = 0;  ///< share of chains outside after the walls were taken away
  double virial = 0;  ///< E (x − x̄)·∇U/d over the data: 1 where they are draws of exp(−U)

  DataEnergy train;
  std::optional<DataEnergy> held_out;
  double gaussian = 0;  ///< mean log density of the held-out data (else of the data) under a
                        ///< Gaussian of the data's moments, nats
  std::optional<LogPartition> log_z;
  std::string no_log_z;                 ///< why there is none
  std::optional<double> kl;             ///< toys: KL(truth ‖ learned) by log Z's middle, nats
  std::optional<double> kl_quadrature;  ///< the same by a grid

  std::vector<ComparedSet> sets;
  std::optional<TrainingRecord> record;
};

/// Mean log density of states whose mean U is `energy`, at the ends of log Z's bracket.
inline std::pair<double, double> log_likelihood(const DataEnergy& data, const LogPartition& log_z) {
  return {-data.mean - log_z.upper, -data.mean - log_z.lower};
}

enum class Answer { no, undecided, yes };

/// A question to the energy, the number that answers it, and the bound at which it does.
struct Criterion {
  std::string name;
  double value = 0;
  double bound = 0;
  Answer answer = Answer::undecided;
  std::string says;
};

struct Verdict {
  Answer convergent = Answer::undecided;
  std::string why;
  std::vector<Criterion> criteria;
};

/// Whether learning was convergent: exp(−U) is a density whose draws are like the data. It was
/// where every criterion says yes, it was not where one that can say no does. How the bounds were
/// found: docs/evaluation.md.
Verdict judge(const Evaluation& evaluation);

}  // namespace ebm
