// Runs that begin with the weights of another, and with its bank.

#include "host/training/origin.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "cuda/base/errors.h"
#include "host/files/checked_tensors.h"
#include "host/training/checkpoint.h"
#include "tests/host/training/stopped_runs.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// Trains into a new folder from what `from` says, or goes on with the run there.
bool train_from(const TrainConfig& config, const fs::path& folder, const fs::path& from,
                bool with_bank, const StopRequest& stop = never_asked_to_stop) {
  if (fs::exists(folder / "config.yaml")) {
    return train(config, folder, stop);
  }
  const Origin origin = load_origin(config, from, with_bank);
  const RunFolder run_folder = RunFolder::create(folder);
  write_bytes(run_folder.config(), to_yaml(config));
  RunLog log(run_folder.log(), true);
  Trainer trainer(config, run_folder, log, stop, tested_device(config));
  trainer.start_from(origin);
  return trainer.run();
}

std::vector<float> tensor(const fs::path& state, const std::string& name) {
  return read_checked_tensors(state).at(name).values;
}

/// A run of six iterations, with the networks and states of all, and what another begins with.
class RunFromAnother : public Resume {
 protected:
  void SetUp() override {
    TrainConfig config = toy_config();
    config.checkpoint = {.every = 1, .keep = 6};
    ASSERT_TRUE(train(config, folder_ / "first"));
  }
  /// Another optimizer, rate, length and seed.
  static TrainConfig other_config() {
    TrainConfig config = toy_config();
    config.seed = 7;
    config.optimizer = {.kind = OptimizerKind::adam, .lr = 1e-3, .lr_min = 1e-3, .lr_decay = 1};
    config.train.iterations = 5;
    config.checkpoint = {.every = 2, .keep = 2};
    return config;
  }
  fs::path first(const std::string& name) const { return folder_ / "first/checkpoints" / name; }
  fs::path second(const std::string& name) const { return folder_ / "second/checkpoints" / name; }

  TemporaryFolder folder_;
};

TEST_F(RunFromAnother, BeginsWithItsWeightsAndABankOfItsOwn) {
  TrainConfig config = other_config();
  config.train.iterations = 1;
  ASSERT_TRUE(train_from(config, folder_ / "second", folder_ / "first", false));
  EXPECT_EQ(tensor(second("state_000000.safetensors"), "theta"),
            tensor(first("state_000006.safetensors"), "theta"));
  const Buffer<float> fresh = initial_bank(config.seed, 60, 2);
  EXPECT_TRUE(std::ranges::equal(tensor(second("state_000000.safetensors"), "bank"), fresh.span()));
  const std::vector<float> moments = tensor(second("state_000000.safetensors"), "first_moments");
  EXPECT_TRUE(std::ranges::all_of(moments, [](float m) { return m == 0; }));
  const Checkpoint given = load_checkpoint(first("net_000006.safetensors"), {});
  const Checkpoint begun = load_checkpoint(second("net_000000.safetensors"), {});
  EXPECT_TRUE(std::ranges::equal(given.parameters.span(), begun.parameters.span()));
}

TEST_F(RunFromAnother, TakesAnyIterationAndTheBankThatBelongsToIt) {
  for (const int iteration : {3, 6}) {
    const std::string name = fmt::format("{:06}.safetensors", iteration);
    const fs::path folder = folder_ / fmt::format("from_{}", iteration);
    ASSERT_TRUE(train_from(toy_config(), folder, first("net_" + name), true));
    const fs::path start = folder / "checkpoints/state_000000.safetensors";
    EXPECT_EQ(tensor(start, "theta"), tensor(first("state_" + name), "theta"));
    EXPECT_EQ(tensor(start, "bank"), tensor(first("state_" + name), "bank"));
  }
}

TEST_F(RunFromAnother, GoesOnFromWhereverItWasStopped) {
  const TrainConfig config = other_config();
  ASSERT_TRUE(train_from(config, folder_ / "whole", folder_ / "first", true));
  int question = 1;
  for (;; ++question) {
    const fs::path run = folder_ / fmt::format("stopped_{}", question);
    if (train_from(config, run, folder_ / "first", true, stop_at(question, question % 2 == 0))) {
      break;
    }
    ASSERT_TRUE(train(config, run));
    ASSERT_EQ(differing_files(run, folder_ / "whole"), "") << "stopped at question " << question;
  }
  EXPECT_GT(question, 5) << "never asked";
}

TEST_F(RunFromAnother, IsRolledBackToItsBeginning) {
  TrainConfig config = other_config();
  config.optimizer.lr = config.optimizer.lr_min = 1e-30;  // the weights stay what they are
  config.divergence.action = DivergenceAction::rollback;
  config.divergence.times = 1;
  config.divergence.energy_difference = 1e-12;
  message_of<Divergence>([&] { train_from(config, folder_ / "second", folder_ / "first", true); });
  EXPECT_TRUE(mentions(read_bytes(folder_ / "second/events.csv"), {"rollback"}));
  const Checkpoint diverged = load_checkpoint(second("diverged_000001.safetensors"), {});
  EXPECT_TRUE(std::ranges::equal(diverged.parameters.span(),
                                 tensor(first("state_000006.safetensors"), "theta")));
}

TEST_F(RunFromAnother, RecordsWhereItCameFrom) {
  const Origin origin = load_origin(other_config(), folder_ / "first", true);
  EXPECT_TRUE(mentions(describe(origin),
                       {first("net_000006.safetensors").string(), "iteration 6", "with its bank"}));
  const nlohmann::json json = nlohmann::json::parse(to_json(origin));
  EXPECT_EQ(json.at("network"), first("net_000006.safetensors").string());
  EXPECT_EQ(json.at("run"), (folder_ / "first").string());
  EXPECT_EQ(json.at("iteration"), 6);
  EXPECT_EQ(json.at("with_bank"), true);
  EXPECT_EQ(json.at("weights_xxh3_128").get<std::string>().size(), 32U);
  fs::copy(first("net_000003.safetensors"), folder_ / "alone.safetensors");
  const nlohmann::json alone = nlohmann::json::parse(
      to_json(load_origin(other_config(), folder_ / "alone.safetensors", false)));
  EXPECT_EQ(alone.at("network"), (folder_ / "alone.safetensors").string());
  EXPECT_TRUE(alone.at("run").is_null());
  EXPECT_EQ(alone.at("iteration"), 3);
  EXPECT_EQ(alone.at("with_bank"), false);
}

TEST_F(RunFromAnother, RefusesWhatDoesNotFit) {
  TrainConfig config = other_config();
  const auto message = [&](const fs::path& from, bool with_bank) {
    return message_of<ConfigurationError>(
        [&] { train_from(config, folder_ / "refused", from, with_bank); });
  };
  config.langevin.bank_size = 61;
  EXPECT_TRUE(mentions(message(folder_ / "first", true),
                       {"--with-bank", "state_000006.safetensors has 60 states", "61"}));
  fs::remove_all(folder_ / "refused");
  config.langevin.init = InitialStates::uniform;
  EXPECT_TRUE(mentions(message(folder_ / "first", true), {"--with-bank", "init is uniform"}));
  config = other_config();
  fs::remove(first("state_000003.safetensors"));
  EXPECT_TRUE(mentions(message(first("net_000003.safetensors"), true),
                       {"--with-bank", "net_000003.safetensors", "state_*.safetensors"}));
  config.network = {.kind = NetworkKind::vanilla, .features = 4, .channels = 1};
  EXPECT_TRUE(mentions(message(folder_ / "first", false),
                       {"network vanilla was asked for", "net_000006.safetensors says toy"}));
  TrainConfig without_bank = toy_config();
  without_bank.langevin.init = InitialStates::uniform;
  without_bank.checkpoint.every = 1;
  train(without_bank, folder_ / "without");
  config = other_config();
  EXPECT_TRUE(
      mentions(message_of<InputFileError>([&] { load_origin(config, folder_ / "without", true); }),
               {"state_000006.safetensors", "has no bank"}));
}

}  // namespace
}  // namespace ebm
