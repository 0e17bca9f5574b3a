#include "host/evaluation/evaluation_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

namespace ebm {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json of(const Mixing& mixing) {
  return {{"rhat", number(mixing.rhat)},
          {"ess_bulk", number(mixing.ess_bulk)},
          {"ess_tail", number(mixing.ess_tail)}};
}

Json of(const std::vector<Criterion>& criteria) {
  Json all = Json::array();
  for (const Criterion& criterion : criteria) {
    all.push_back({{"name", criterion.name},
                   {"value", number(criterion.value)},
                   {"bound", number(criterion.bound)},
                   {"holds", to_string(criterion.answer)},
                   {"says", criterion.says}});
  }
  return all;
}

Json log_z_of(const Evaluation& found) {
  if (!found.log_z) {
    return nullptr;
  }
  const LogPartition& log_z = *found.log_z;
  return {{"forward", number(log_z.forward)},
          {"forward_se", number(log_z.forward_se)},
          {"reverse", number(log_z.reverse)},
          {"reverse_se", number(log_z.reverse_se)},
          {"lower", number(log_z.lower)},
          {"upper", number(log_z.upper)},
          {"ess", number(log_z.ess)},
          {"support",
           {{"kind", "box"},
            {"low", number(static_cast<double>(found.box.first))},
            {"high", number(static_cast<double>(found.box.second))},
            {"why", found.box_reason}}}};
}

Json likelihood_of(const Evaluation& found, const DataEnergy& data) {
  const auto [lower, upper] = log_likelihood(data, *found.log_z);
  const double nats_to_bits = -1 / (std::numbers::ln2 * static_cast<double>(found.dimensions));
  return {{"lower", number(lower)},
          {"upper", number(upper)},
          {"standard_error", number(data.error)},
          {"bits_per_dimension", number(nats_to_bits * (lower + upper) / 2)},
          {"states", data.states}};
}

Json likelihoods_of(const Evaluation& found) {
  Json all{{"unit", "nats"}, {"train", nullptr}, {"test", nullptr}};
  if (found.log_z) {
    all["train"] = likelihood_of(found, found.train);
    if (found.held_out) {
      all["test"] = likelihood_of(found, *found.held_out);
    }
  }
  all["gaussian"] = number(found.gaussian);
  return all;
}

Json mixing_of(const Evaluation& found) {
  Json all = of(found.across);
  all["nested_rhat"] = number(found.nested_rhat);
  all["of"] = found.worst_quantity;
  for (const StartRecord& start : found.starts) {
    Json one = of(start.energy);
    one["energy_mean"] = number(start.mean);
    one["energy_deviation"] = number(start.deviation);
    all["starts"][start.name] = one;
  }
  return all;
}

Json distances_of(const Evaluation& found) {
  Json all = Json::object();
  for (const ComparedSet& set : found.sets) {
    const SampleDistances& distances = set.distances;
    all[set.name] = {{"states", set.states},
                     {"frechet", number(distances.frechet)},
                     {"mmd", number(distances.mmd)},
                     {"mmd_error", number(distances.mmd_error)},
                     {"precision", number(distances.precision)},
                     {"recall", number(distances.recall)}};
  }
  return all;
}

Json record_of(const TrainingRecord& record) {
  return {{"iterations", record.iterations},
          {"d_s_mean", number(record.d_s_mean)},
          {"d_s_deviation", number(record.d_s_deviation)},
          {"r_s_mean", number(record.r_s_mean)},
          {"r_s_deviation", number(record.r_s_deviation)},
          {"d_s_positive", number(record.positive)},
          {"d_s_sign_changes", number(record.sign_changes)},
          {"d_s_lag_1", number(record.d_s_lag_1)},
          {"r_s_lag_1", number(record.r_s_lag_1)},
          {"cross_lag_1", number(record.cross_lag_1)},
          {"white_noise_band", number(record.band)}};
}

}  // namespace

std::string_view to_string(Answer answer) {
  return answer == Answer::yes ? "yes" : answer == Answer::no ? "no" : "undecided";
}

std::string_view verdict_name(Answer convergent) {
  return convergent == Answer::yes  ? "convergent"
         : convergent == Answer::no ? "non-convergent"
                                    : "undecided";
}

std::string to_json(const Evaluation& found, const Verdict& verdict) {
  Json json{{"name", found.name},
            {"network", found.network},
            {"iteration", found.iteration},
            {"verdict", verdict_name(verdict.convergent)},
            {"why", verdict.why},
            {"criteria", of(verdict.criteria)},
            {"temperature", number(found.temperature)},
            {"dimensions", found.dimensions},
            {"log_z", log_z_of(found)},
            {"log_likelihood", likelihoods_of(found)},
            {"mixing", mixing_of(found)},
            {"left_box", number(found.left_box)},
            {"virial", number(found.virial)},
            {"distances", distances_of(found)}};
  if (!found.no_log_z.empty()) {
    json["no_log_z"] = found.no_log_z;
  }
  if (found.kl_quadrature) {
    json["kl"] = {{"quadrature", number(*found.kl_quadrature)},
                  {"annealed", found.kl ? number(*found.kl) : Json(nullptr)}};
  }
  if (found.record) {
    json["record"] = record_of(*found.record);
  }
  return json.dump(2) + "\n";
}

}  // namespace ebm
