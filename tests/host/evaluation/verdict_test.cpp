// The verdict and evaluation.json: which answers follow from which numbers.
#include "host/evaluation/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "host/evaluation/evaluation_json.h"

namespace ebm {
namespace {

/// What is found of a density of 8 dimensions that has been learned.
Evaluation learned() {
  Evaluation found;
  found.name = "run";
  found.network = "net_000010.safetensors";
  found.iteration = 10;
  found.dimensions = 8;
  found.box = {-2.0F, 2.0F};
  found.box_reason = "it was given";
  const Mixing mixed{.rhat = 1.001, .ess_bulk = 1000, .ess_tail = 900};
  found.starts = {{"data", 3.0, 2.0, mixed}, {"noise", 3.1, 2.0, mixed}};
  found.nested_rhat = 1.001;
  found.across = mixed;
  found.worst_quantity = "U";
  found.virial = 1.1;
  found.train = {.states = 100, .mean = 3.2, .error = 0.1};
  found.held_out = DataEnergy{.states = 100, .mean = 3.4, .error = 0.1};
  found.gaussian = -12;
  found.log_z = LogPartition{.forward = 6.0,
                             .forward_se = 0.01,
                             .reverse = 6.1,
                             .reverse_se = 0.01,
                             .ess = 90,
                             .lower = 5.97,
                             .upper = 6.13};
  found.sets = {{"held_out", 100, {0.1, 0.0, 0.01, 0.95, 0.96}},
                {"data_chains", 100, {0.1, 0.0, 0.01, 0.9, 0.85}}};
  return found;
}

Answer answer(const Verdict& verdict, const std::string& criterion) {
  return std::ranges::find(verdict.criteria, criterion, &Criterion::name)->answer;
}

TEST(Verdict, ADensityThatWasLearnedHoldsByAllCriteria) {
  const Verdict verdict = judge(learned());
  EXPECT_EQ(verdict.convergent, Answer::yes) << verdict.why;
  for (const Criterion& criterion : verdict.criteria) {
    EXPECT_EQ(criterion.answer, Answer::yes) << criterion.says;
    EXPECT_TRUE(std::isfinite(criterion.value)) << criterion.name;
    EXPECT_FALSE(criterion.says.empty()) << criterion.name;
  }
}

TEST(Verdict, EachCriterionCanRefuseOrLeaveItOpen) {
  struct Case {
    std::string criterion;
    Answer expected;
    void (*change)(Evaluation&);
  };
  const Case cases[] = {
      {"stays", Answer::undecided, [](Evaluation& e) { e.left_box = 0.05; }},
      {"stays", Answer::no, [](Evaluation& e) { e.left_box = 0.5; }},
      {"energy_gap", Answer::undecided, [](Evaluation& e) { e.train.mean = 7; }},
      {"energy_gap", Answer::no, [](Evaluation& e) { e.train.mean = 13.1; }},
      {"energy_gap", Answer::no, [](Evaluation& e) { e.train.mean = -7.1; }},
      // −U − log Z of held-out data is from −9.53 to −9.37.
      {"likelihood", Answer::undecided, [](Evaluation& e) { e.gaussian = -9.45; }},
      {"likelihood", Answer::no, [](Evaluation& e) { e.gaussian = -9.3; }},
      {"likelihood", Answer::undecided, [](Evaluation& e) { e.log_z.reset(); }},
      {"long_chains_like_data", Answer::undecided,
       [](Evaluation& e) { e.sets[1].distances.recall = 0.7; }},
      {"long_chains_like_data", Answer::no,
       [](Evaluation& e) { e.sets[1].distances.precision = 0.4; }},
      {"virial", Answer::undecided, [](Evaluation& e) { e.virial = 2.5; }},
      {"virial", Answer::no, [](Evaluation& e) { e.virial = -5; }},
      {"starts_agree", Answer::undecided, [](Evaluation& e) { e.nested_rhat = 4; }},
  };
  for (const Case& c : cases) {
    Evaluation found = learned();
    c.change(found);
    const Verdict verdict = judge(found);
    EXPECT_EQ(answer(verdict, c.criterion), c.expected) << c.criterion;
    EXPECT_EQ(verdict.convergent, c.expected) << c.criterion << ": " << verdict.why;
    EXPECT_NE(verdict.why.find(c.criterion), std::string::npos) << verdict.why;
  }
}

/// A number that nothing is known of never speaks for a density, or against it.
TEST(Verdict, WhatIsNotANumberIsOpen) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  Evaluation found = learned();
  found.left_box = found.virial = found.train.mean = found.gaussian = found.nested_rhat = kNone;
  found.held_out->mean = kNone;
  found.sets[1].distances = {kNone, kNone, kNone, kNone, kNone};
  const Verdict verdict = judge(found);
  EXPECT_EQ(verdict.convergent, Answer::undecided);
  for (const Criterion& criterion : verdict.criteria) {
    EXPECT_EQ(criterion.answer, Answer::undecided) << criterion.name;
  }
  EXPECT_TRUE(nlohmann::json::accept(to_json(found, verdict)));
}

TEST(EvaluationJson, SaysWhatWasFound) {
  Evaluation found = learned();
  found.record = TrainingRecord{.iterations = 10, .d_s_mean = 0.5};
  found.kl = 0.25;
  found.kl_quadrature = 0.26;
  const auto json = nlohmann::json::parse(to_json(found, judge(found)));
  EXPECT_EQ(json["verdict"], "convergent");
  EXPECT_EQ(json["criteria"].size(), 6U);
  EXPECT_EQ(json["criteria"][0]["name"], "stays");
  EXPECT_EQ(json["criteria"][0]["holds"], "yes");
  EXPECT_EQ(json["log_z"]["support"]["kind"], "box");
  EXPECT_EQ(json["log_z"]["support"]["low"], -2);
  EXPECT_EQ(json["log_z"]["forward"], 6.0);
  EXPECT_NEAR(json["log_likelihood"]["test"]["lower"].get<double>(), -3.4 - 6.13, 1e-12);
  EXPECT_NEAR(json["log_likelihood"]["train"]["upper"].get<double>(), -3.2 - 5.97, 1e-12);
  EXPECT_NEAR(json["log_likelihood"]["test"]["bits_per_dimension"].get<double>(),
              (3.4 + 6.05) / 8 / std::log(2), 1e-12);
  EXPECT_EQ(json["mixing"]["rhat"], 1.001);
  EXPECT_EQ(json["mixing"]["starts"]["noise"]["ess_bulk"], 1000);
  EXPECT_EQ(json["distances"]["data_chains"]["recall"], 0.85);
  EXPECT_EQ(json["record"]["d_s_mean"], 0.5);
  EXPECT_EQ(json["kl"]["quadrature"], 0.26);

  found.log_z.reset();
  found.no_log_z = "too steep";
  found.virial = std::nan("");
  const auto less = nlohmann::json::parse(to_json(found, judge(found)));
  EXPECT_TRUE(less["log_z"].is_null());
  EXPECT_TRUE(less["log_likelihood"]["train"].is_null());
  EXPECT_TRUE(less["virial"].is_null());
  EXPECT_EQ(less["no_log_z"], "too steep");
}

}  // namespace
}  // namespace ebm
