#include "host/training/training_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "cuda/base/errors.h"
#include "host/files/checked_tensors.h"
#include "host/files/metadata_number.h"
#include "host/files/state_values.h"
#include "host/parse_number.h"

namespace ebm {
namespace {

constexpr std::int64_t kLastIteration = 4294967295;  // one word of the random streams

OptimizerState::Kind optimizer_kind(OptimizerKind kind) {
  return kind == OptimizerKind::sgd ? OptimizerState::Kind::sgd : OptimizerState::Kind::adam;
}

[[noreturn]] void refuse(const TensorFile& file, std::string_view what) {
  throw InputFileError(fmt::format("{}: {}", file.path.string(), what));
}

/// Iterations "100 200 300", ascending, none after `last`.
std::vector<std::int64_t> iterations(const TensorFile& file, const std::string& key,
                                     std::int64_t last) {
  const auto entry = file.metadata.find(key);
  if (entry == file.metadata.end() || entry->second.empty()) {
    return {};
  }
  const auto found = parse_numbers<std::int64_t>(entry->second, ' ');
  if (!found || found->front() < 0 || found->back() > last ||
      std::ranges::adjacent_find(*found, std::greater_equal()) != found->end()) {
    refuse(file, fmt::format("metadata key '{}' is '{:.60}', not iterations that ascend to {}", key,
                             entry->second, last));
  }
  return *found;
}

/// Throws ChangedData unless the file was trained on these data, or does not say.
void require_same_data(const TensorFile& file, const TrainingData& data) {
  const auto digest = file.metadata.find("data_digest");
  if (digest == file.metadata.end() || digest->second == data.digest) {
    return;
  }
  const auto images = metadata_number<std::int64_t>(file, "data_images");
  throw ChangedData(fmt::format(
      "{}: its {} images are not the {} that {} was trained on; let data.path and data.split name "
      "those, "
      "or train on others in a new run, which can start from this one's network (--from)",
      data.name, data.images, images ? fmt::format("{}", *images) : "images", file.path.string()));
}

/// All of a learner's state, each part as large as it is there.
struct LearnedValues {
  std::span<const float> theta;
  std::int64_t optimizer_steps = 0;
  std::span<const float> first_moments;
  std::span<const float> second_moments;
  std::span<const float> bank{};
};

void restore(const LearnedValues& from, LearnerState& to) {
  std::ranges::copy(from.theta, to.theta.data());
  to.optimizer.steps = from.optimizer_steps;
  std::ranges::copy(from.first_moments, to.optimizer.first_moments.data());
  std::ranges::copy(from.second_moments, to.optimizer.second_moments.data());
  std::ranges::copy(from.bank, to.bank.data());
}

}  // namespace

std::int64_t bank_rows(const TrainConfig& config, std::int64_t images) {
  if (config.langevin.init != InitialStates::persistent) {
    return 0;
  }
  return config.data.is_toy() ? config.langevin.bank_size : images;
}

TrainingState initial_state(const TrainConfig& config, const Network& network,
                            std::int64_t images) {
  TrainingState state;
  state.learning_rate = config.optimizer.lr;
  state.learned.theta = initial_parameters(network, config.seed);
  state.learned.optimizer =
      OptimizerState(optimizer_kind(config.optimizer.kind), network.parameter_count());
  if (config.langevin.init == InitialStates::persistent) {
    state.learned.bank =
        initial_bank(config.seed, bank_rows(config, images), network.input().size());
  }
  return state;
}

void copy_state(const TrainingState& from, TrainingState& to) {
  to.iteration = from.iteration;
  to.learning_rate = from.learning_rate;
  to.rollbacks = from.rollbacks;
  to.rate_factor = from.rate_factor;
  to.checkpoints = from.checkpoints;
  to.long_run_is_due = from.long_run_is_due;
  to.data = from.data;
  const LearnerState& learned = from.learned;
  restore({.theta = learned.theta.span(),
           .optimizer_steps = learned.optimizer.steps,
           .first_moments = learned.optimizer.first_moments.span(),
           .second_moments = learned.optimizer.second_moments.span(),
           .bank = learned.bank.span()},
          to.learned);
}

void save_state(const std::filesystem::path& path, const TrainingState& state) {
  TensorMetadata metadata{{"iteration", fmt::format("{}", state.iteration)},
                          {"learning_rate", fmt::format("{}", state.learning_rate)},
                          {"rollbacks", fmt::format("{}", state.rollbacks)},
                          {"rate_factor", fmt::format("{}", state.rate_factor)},
                          {"long_run_is_due", state.long_run_is_due ? "1" : "0"},
                          {"checkpoints", fmt::format("{}", fmt::join(state.checkpoints, " "))},
                          {"optimizer_steps", fmt::format("{}", state.learned.optimizer.steps)}};
  if (!state.data.digest.empty()) {
    metadata["data_digest"] = state.data.digest;
    metadata["data_images"] = fmt::format("{}", state.data.images);
  }
  std::vector<TensorView> tensors{vector_of("theta", state.learned.theta.span())};
  tensors.push_back(vector_of("first_moments", state.learned.optimizer.first_moments.span()));
  tensors.push_back(vector_of("second_moments", state.learned.optimizer.second_moments.span()));
  if (state.learned.bank.size() > 0) {
    tensors.push_back(vector_of("bank", state.learned.bank.span()));
  }
  write_checked_tensors(path, tensors, std::move(metadata));
}

void load_state(const std::filesystem::path& path, TrainingState& state) {
  const TensorFile file = read_checked_tensors(path, DigestRule::required);
  // All that can fail comes first.
  const auto iteration = state_number<std::int64_t>(file, "iteration", 0, kLastIteration);
  const auto learning_rate = state_number<double>(file, "learning_rate", 0, HUGE_VAL);
  const auto rollbacks = state_number<int>(file, "rollbacks", 0, 1000);
  const auto rate_factor = state_number<double>(file, "rate_factor", 0, 1);
  const auto steps = state_number<std::int64_t>(file, "optimizer_steps", 0, kLastIteration);
  const bool long_run_is_due = state_number<int>(file, "long_run_is_due", 0, 1) == 1;
  std::vector<std::int64_t> checkpoints = iterations(file, "checkpoints", iteration);
  require_same_data(file, state.data);
  const OptimizerState& optimizer = state.learned.optimizer;
  LearnedValues learned{
      .theta = state_values(file, "theta", state.learned.theta.size()),
      .optimizer_steps = steps,
      .first_moments = state_values(file, "first_moments", optimizer.first_moments.size()),
      .second_moments = state_values(file, "second_moments", optimizer.second_moments.size())};
  if (state.learned.bank.size() > 0) {
    learned.bank = state_values(file, "bank", state.learned.bank.size());
  }
  state.iteration = iteration;
  state.learning_rate = learning_rate;
  state.rollbacks = rollbacks;
  state.rate_factor = rate_factor;
  state.checkpoints = std::move(checkpoints);
  restore(learned, state.learned);
  state.long_run_is_due = long_run_is_due;
}

SavedBank load_bank(const std::filesystem::path& path) {
  TensorFile file = read_checked_tensors(path, DigestRule::required);
  const auto bank = std::ranges::find(file.tensors, "bank", &Tensor::name);
  if (bank == file.tensors.end()) {
    refuse(file, "has no bank: its run's chains are not persistent");
  }
  return {.state = path, .values = std::move(bank->values)};
}

void save_long_run(const std::filesystem::path& path, const TrainingState& state,
                   const LongRun& run) {
  const std::vector<TensorView> tensors{vector_of("states", run.states.span())};
  write_checked_tensors(path, tensors,
                        {{"iteration", fmt::format("{}", state.iteration)},
                         {"rollbacks", fmt::format("{}", state.rollbacks)},
                         {"steps", fmt::format("{}", run.steps)}});
}

void load_long_run(const std::filesystem::path& path, const TrainingState& state, LongRun& run) {
  const TensorFile file = read_checked_tensors(path, DigestRule::required);
  constexpr int kMostSteps = 2147483647;
  state_number<std::int64_t>(file, "iteration", state.iteration, state.iteration);
  state_number<int>(file, "rollbacks", state.rollbacks, state.rollbacks);
  const auto states = state_values(file, "states", run.states.size());
  run.steps = state_number<int>(file, "steps", 0, kMostSteps);
  std::ranges::copy(states, run.states.data());
}

}  // namespace ebm
