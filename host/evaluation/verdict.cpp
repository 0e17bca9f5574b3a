#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "host/evaluation/evaluation.h"

namespace ebm {
namespace {

/// yes up to one bound, no from another on, which is the larger one.
Answer at_most(double value, double yes, double no) {
  return value <= yes ? Answer::yes : value >= no ? Answer::no : Answer::undecided;
}

const ComparedSet* find_set(const Evaluation& found, std::string_view name) {
  const auto set = std::ranges::find(found.sets, name, &ComparedSet::name);
  return set == found.sets.end() ? nullptr : &*set;
}

const StartRecord* find_start(const Evaluation& found, std::string_view name) {
  const auto start = std::ranges::find(found.starts, name, &StartRecord::name);
  return start == found.starts.end() ? nullptr : &*start;
}

/// Is there a density at all? Chains that are let out of the box stay.
Criterion stays(const Evaluation& found) {
  constexpr double kYes = 0.01;
  constexpr double kNo = 0.2;
  return {.name = "stays",
          .value = found.left_box,
          .bound = kYes,
          .answer = at_most(found.left_box, kYes, kNo),
          .says = fmt::format("{:.3g}% of the chains left [{:g}, {:g}] when its walls were taken "
                              "away; of a density like the data's at most {:g}% do",
                              100 * found.left_box, found.box.first, found.box.second, 100 * kYes)};
}

/// Do data lie where the density has its mass? Chains that start there keep their energy. The
/// measure is what U varies by in d dimensions where it is −log p of a Gaussian: √(d/2).
Criterion energy_gap(const Evaluation& found) {
  constexpr double kYes = 1;
  constexpr double kNo = 5;
  const StartRecord& chains = *find_start(found, "data");
  const double measure = std::sqrt(static_cast<double>(found.dimensions) / 2);
  const double gap = (found.train.mean - chains.mean) / measure;
  return {.name = "energy_gap",
          .value = gap,
          .bound = kYes,
          .answer = at_most(std::abs(gap), kYes, kNo),
          .says = fmt::format("U is {:.5g} of the data and {:.5g} of long chains from them: {:.3g} "
                              "times √(d/2), what a Gaussian's varies by; at most {:g} is allowed",
                              found.train.mean, chains.mean, gap, kYes)};
}

/// Have chains forgotten where they started? Chains that have not say nothing against the density.
Criterion mixing_of_starts(const Evaluation& found) {
  constexpr double kYes = 1.05;
  return {.name = "starts_agree",
          .value = found.nested_rhat,
          .bound = kYes,
          .answer = found.nested_rhat <= kYes ? Answer::yes : Answer::undecided,
          .says = fmt::format("nested R-hat of {} over chains from data and from noise is {:.3f}; "
                              "of chains that have forgotten their start it is at most {:g}",
                              found.worst_quantity, found.nested_rhat, kYes)};
}

/// Does the density explain data that it has not seen better than a Gaussian?
Criterion likelihood(const Evaluation& found) {
  Criterion criterion{.name = "likelihood", .value = std::nan(""), .bound = 0, .says = {}};
  if (!found.log_z) {
    criterion.says = "log Z is not known: " + found.no_log_z;
    return criterion;
  }
  const auto [lower, upper] = log_likelihood(found.held_out.value_or(found.train), *found.log_z);
  criterion.value = lower - found.gaussian;
  criterion.answer = lower > found.gaussian   ? Answer::yes
                     : upper < found.gaussian ? Answer::no
                                              : Answer::undecided;
  criterion.says = fmt::format(
      "the mean log density of {} is between {:.4g} and {:.4g} nats; a Gaussian of the data's "
      "moments has {:.4g}",
      found.held_out ? "held-out data" : "the data", lower, upper, found.gaussian);
  return criterion;
}

/// Are long chains, which started at data, still like data?
Criterion long_chains_like_data(const Evaluation& found) {
  constexpr double kYes = 0.8;
  constexpr double kNo = 0.5;
  const ComparedSet& chains = *find_set(found, "data_chains");
  const double share = std::min(chains.distances.precision, chains.distances.recall);
  return {.name = "long_chains_like_data",
          .value = share,
          .bound = kYes,
          .answer = share >= kYes  ? Answer::yes
                    : share <= kNo ? Answer::no
                                   : Answer::undecided,
          .says = fmt::format(
              "of long chains from data precision is {:.3f} and recall {:.3f}; of samples "
              "like data both are at least {:g}",
              chains.distances.precision, chains.distances.recall, kYes)};
}

/// Are the data in equilibrium under the energy's forces?
Criterion virial(const Evaluation& found) {
  constexpr double kYes = 1;
  constexpr double kNo = 3;
  const double off = std::abs(found.virial - 1);
  return {.name = "virial",
          .value = found.virial,
          .bound = 1 + kYes,
          .answer = at_most(off, kYes, kNo),
          .says = fmt::format("the mean of (x − mean)·∇U/d over the data is {:.3g}; it is 1 where "
                              "data are draws of exp(−U), and {:g} to {:g} is allowed",
                              found.virial, 1 - kYes, 1 + kYes)};
}

}  // namespace

Verdict judge(const Evaluation& evaluation) {
  Verdict verdict;
  verdict.criteria = {stays(evaluation),      energy_gap(evaluation),
                      likelihood(evaluation), long_chains_like_data(evaluation),
                      virial(evaluation),     mixing_of_starts(evaluation)};
  const auto names_of = [&verdict](Answer answer) {
    std::string names;
    for (const Criterion& criterion : verdict.criteria) {
      if (criterion.answer == answer) {
        names += (names.empty() ? "" : ", ") + criterion.name;
      }
    }
    return names;
  };
  const std::string against = names_of(Answer::no);
  const std::string open = names_of(Answer::undecided);
  if (!against.empty()) {
    verdict.convergent = Answer::no;
    verdict.why = "exp(-U) is not a density whose draws are like the data, by: " + against;
  } else if (open.empty()) {
    verdict.convergent = Answer::yes;
    verdict.why = "exp(-U) is a density whose draws are like the data, by all criteria";
  } else {
    verdict.why = "nothing speaks against it, but not decided are: " + open;
  }
  return verdict;
}

}  // namespace ebm
