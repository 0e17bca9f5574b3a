#include "host/config/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cuda/base/errors.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

// The least a configuration can say, in six lines.
constexpr const char* kToy =
    "name: toy\n"
    "data: {kind: gmm}\n"
    "network: {kind: toy}\n"
    "optimizer: {kind: sgd, lr: 0.1}\n"
    "langevin: {epsilon: 0.125, steps: 500, init: persistent}\n"
    "train: {iterations: 1000}\n";
constexpr const char* kImages =
    "name: images\n"
    "data: {kind: mnist, path: data/mnist}\n"
    "network: {kind: vanilla}\n"
    "optimizer: {kind: adam, lr: 0.0001}\n"
    "langevin: {epsilon: 0.01, steps: 100, init: uniform}\n"
    "train: {iterations: 1000}\n";

class ConfigTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove(file_); }

  TrainConfig load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    std::ofstream(file_, std::ios::binary) << text;
    return load_train_config(file_, overrides);
  }

  // The message of the ConfigurationError that loading throws, the file's name cut to "FILE".
  std::string error(const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
      load(text, overrides);
    } catch (const ConfigurationError& refused) {
      std::string message = refused.what();
      for (std::size_t at = 0; (at = message.find(file_.string(), at)) != std::string::npos;) {
        message.replace(at, file_.string().size(), "FILE");
      }
      return message;
    }
    return "loaded without an error";
  }

  struct RefusedOverride {
    const char* text;  // of the file
    std::string override_text;
    std::string message;
  };

  void expect_errors(const std::vector<RefusedOverride>& cases) {
    for (const auto& [text, override_text, message] : cases) {
      EXPECT_EQ(error(text, {override_text}), fmt::format("--set {}: {}", override_text, message));
    }
  }

  const fs::path file_ =
      fs::path(testing::TempDir()) /
      fmt::format("{}.{}.yaml", testing::UnitTest::GetInstance()->current_test_info()->name(),
                  ::getpid());
};

TEST_F(ConfigTest, FillsInDefaults) {
  const TrainConfig toy = load(kToy);
  EXPECT_EQ(toy.seed, 123U);
  EXPECT_EQ(toy.device, "auto");
  EXPECT_EQ(toy.precision, Precision::tf32);
  EXPECT_EQ(toy.data.groups, 8);
  EXPECT_EQ(toy.optimizer.lr_min, 0.1);
  EXPECT_EQ(toy.optimizer.lr_decay, 1.0);
  EXPECT_EQ(toy.langevin.clamp, std::nullopt);
  EXPECT_EQ(toy.langevin.bank_size, 10'000);
  EXPECT_EQ(toy.train.batch_size, 100);
  EXPECT_EQ(toy.landscape.kde.bandwidth, 0.1);

  const TrainConfig rings = load(kToy, {"data.kind=rings"});
  EXPECT_EQ(rings.data.groups, 4);
  EXPECT_EQ(rings.landscape.kde.bandwidth, 0.075);

  const TrainConfig images = load(kImages);
  EXPECT_EQ(images.data.noise, 0.0);
  EXPECT_EQ(images.network.features, 32);
  EXPECT_EQ(images.longrun.every, 0);
  EXPECT_EQ(images.longrun.steps, 100'000);
  EXPECT_EQ(images.longrun.init, InitialStates::data);
}

TEST_F(ConfigTest, ImagesAreColouredUnlessTheyAreMnist) {
  EXPECT_EQ(load(kImages).data.channels, 1);
  EXPECT_EQ(load(kImages, {"data.channels=3"}).data.channels, 3);
  for (const char* kind : {"cifar10", "flowers102", "folder"}) {
    const std::string set = fmt::format("data={{kind: {}, path: x}}", kind);
    const TrainConfig config = load(kImages, {set});
    EXPECT_FALSE(config.data.is_toy());
    EXPECT_EQ(config.data.channels, 3) << kind;
    EXPECT_EQ(load(kImages, {set, "data.channels=1"}).data.channels, 1) << kind;
    EXPECT_EQ(load(to_yaml(config)), config) << kind;
  }
}

TEST_F(ConfigTest, WritesEveryKeyThatApplies) {
  EXPECT_EQ(to_yaml(load(kToy)),
            "name: toy\n"
            "seed: 123\n"
            "device: auto\n"
            "precision: tf32\n"
            "data: {kind: gmm, groups: 8, sd: 0.15, radius: 1}\n"
            "network: {kind: toy}\n"
            "optimizer: {kind: sgd, lr: 0.1, lr_min: 0.1, lr_decay: 1}\n"
            "langevin: {epsilon: 0.125, steps: 500, init: persistent, clamp: null, "
            "bank_size: 10000}\n"
            "train: {iterations: 1000, batch_size: 100}\n"
            "log: {every: 100}\n"
            "checkpoint: {every: 100, keep: 3, keep_every: 0, grace: 20}\n"
            "divergence: {action: stop, energy_difference: 1000000000, gradient_strength: 1000000, "
            "energy: 1000000000000, weight: 10000}\n"
            "landscape: {every: 1000, resolution: 200, kde: {chains: 10000, bandwidth: 0.1}}\n");
  EXPECT_EQ(
      to_yaml(load(kImages)),
      "name: images\n"
      "seed: 123\n"
      "device: auto\n"
      "precision: tf32\n"
      "data: {kind: mnist, path: data/mnist, image_size: 32, channels: 1, noise: 0, split: train}\n"
      "network: {kind: vanilla, features: 32}\n"
      "optimizer: {kind: adam, lr: 0.0001, lr_min: 0.0001, lr_decay: 1}\n"
      "langevin: {epsilon: 0.01, steps: 100, init: uniform, clamp: null}\n"
      "train: {iterations: 1000, batch_size: 100}\n"
      "log: {every: 100}\n"
      "checkpoint: {every: 100, keep: 3, keep_every: 0, grace: 20}\n"
      "divergence: {action: stop, energy_difference: 1000000000, gradient_strength: 1000000, "
      "energy: 1000000000000, weight: 10000}\n"
      "longrun: {every: 0, steps: 100000, init: data}\n");
}

TEST_F(ConfigTest, AwkwardValuesSurviveWriting) {
  for (const std::string text : {"null", "~", "true", "12", "a: b # c", "{}", "'\"", " spaces ",
                                 "- x", "&a", "é\n\t\\", "a, b]", "%x", "? y"}) {
    TrainConfig config = load(kImages);
    config.data.path = text;
    config.seed = std::numeric_limits<std::uint64_t>::max();
    config.optimizer.lr = 1.0 / 3;
    config.optimizer.lr_min = std::numeric_limits<double>::denorm_min();
    config.langevin.clamp = {-0.1, std::numeric_limits<double>::max()};
    config.train.iterations = 4294967295;
    EXPECT_EQ(load(to_yaml(config)), config) << to_yaml(config);
  }
}

TEST_F(ConfigTest, OverridesReplaceValues) {
  const TrainConfig config =
      load(kToy, {"langevin.steps=7", "langevin.steps=9", "name='a b'", "langevin.clamp=[-1, 1]",
                  "landscape.kde.chains=50", "landscape.kde.bandwidth=.2", "log={every: 3}",
                  "langevin.epsilon=0"});
  EXPECT_EQ(config.langevin.steps, 9);
  EXPECT_EQ(config.name, "a b");
  EXPECT_EQ(config.langevin.clamp, std::optional(std::pair(-1.0, 1.0)));
  EXPECT_EQ(config.landscape.kde.chains, 50);
  EXPECT_EQ(config.landscape.kde.bandwidth, 0.2);
  EXPECT_EQ(config.log.every, 3);
  EXPECT_EQ(config.langevin.epsilon, 0.0);
  EXPECT_EQ(load(kToy, {"langevin.clamp=[-1, 1]", "langevin.clamp=null"}), load(kToy));
}

// Each is line 7 of a file.
TEST_F(ConfigTest, RefusesValuesOfTheWrongType) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"seed: -1", "seed: must be an integer between 0 and 18446744073709551615, not '-1'"},
      {"seed: 18446744073709551616",
       "seed: must be an integer between 0 and 18446744073709551615, not '18446744073709551616'"},
      {"seed: 1e3", "seed: must be an integer between 0 and 18446744073709551615, not '1e3'"},
      {"seed: 1.0", "seed: must be an integer between 0 and 18446744073709551615, not '1.0'"},
      {"seed: 0x10", "seed: must be an integer between 0 and 18446744073709551615, not '0x10'"},
      {"seed: abc", "seed: must be an integer between 0 and 18446744073709551615, not 'abc'"},
      {"seed: true", "seed: must be an integer between 0 and 18446744073709551615, not 'true'"},
      {"seed: \"5\"", "seed: must be an integer between 0 and 18446744073709551615, not \"5\""},
      {"seed: null", "seed: must be an integer between 0 and 18446744073709551615, not null"},
      {"seed:", "seed: must be an integer between 0 and 18446744073709551615, not null"},
      {"seed: [1]", "seed: must be an integer between 0 and 18446744073709551615, not a list"},
      {"seed: {a: 1}", "seed: must be an integer between 0 and 18446744073709551615, not a map"},
      {"device: gpu", "device: must be auto, cpu, cuda or cuda:N, not 'gpu'"},
      {"device: 'cuda:'", "device: must be auto, cpu, cuda or cuda:N, not 'cuda:'"},
      {"device: cuda:-1", "device: must be auto, cpu, cuda or cuda:N, not 'cuda:-1'"},
      {"device: {a: 1}", "device: must be text, not a map"},
      {"device: ''", "device: must not be empty"},
      {"precision: tf23",
       "precision: must be one of fp32, tf32, bf16, not 'tf23'; did you mean 'tf32'?"},
      {"precision: 64", "precision: must be one of fp32, tf32, bf16, not '64'"},
      {"precision: [fp32]", "precision: must be one of fp32, tf32, bf16, not a list"},
      {"log: {every: 0}", "log.every: must be an integer between 1 and 2147483647, not '0'"},
      {"log: {every: 2147483648}",
       "log.every: must be an integer between 1 and 2147483647, not '2147483648'"},
      {"log: null", "log: must be a map of keys, not null"},
      {"landscape: {kde: {bandwidth: 0}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not '0'"},
      {"landscape: {kde: {bandwidth: nan}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not 'nan'"},
      {"landscape: {kde: {bandwidth: .inf}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not '.inf'"},
      {"landscape: {kde: {bandwidth: inf}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not 'inf'"},
      {"landscape: {kde: {bandwidth: 1e999}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not '1e999'"},
      {"landscape: {kde: {bandwidth: 0.1x}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not '0.1x'"},
      {"landscape: {kde: {bandwidth: false}}",
       "landscape.kde.bandwidth: must be a finite number above 0, not 'false'"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(error(kToy + line), fmt::format("FILE:7: {}", expected));
  }
}

TEST_F(ConfigTest, OverridesAreNamedInErrors) {
  expect_errors({
      {kToy, "langevin.stepz=3", "langevin.stepz: unknown key; did you mean 'steps'?"},
      {kToy, "langevn.steps=3", "langevn: unknown key; did you mean 'langevin'?"},
      {kToy, "landscape.kde.chain=3", "landscape.kde.chain: unknown key; did you mean 'chains'?"},
      {kToy, "langevin.steps=abc",
       "langevin.steps: must be an integer between 1 and 2147483647, not 'abc'"},
      {kToy, "langevin=3", "langevin: must be a map of keys, not '3'"},
      {kToy, "langevin.steps", "expected section.key=value"},
      {kToy, "=3", "expected section.key=value"},
      {kToy, "langevin..steps=3", "expected section.key=value"},
      {kToy, "langevin.steps=", "is empty"},
      {kToy, "langevin.clamp=[1", "a key must be a plain name (or a bracket is not closed)"},
      {kToy, "name.first=x", "'name' is not a section"},
  });
}

TEST_F(ConfigTest, RefusesValuesOutOfRange) {
  expect_errors({
      {kToy, "langevin.epsilon=-0.1",
       "langevin.epsilon: must be a finite number of at least 0, not '-0.1'"},
      {kToy, "langevin.steps=0",
       "langevin.steps: must be an integer between 1 and 2147483647, not '0'"},
      {kToy, "langevin.init=persistant",
       "langevin.init: must be one of persistent, data, uniform, gaussian, not 'persistant'; did "
       "you mean 'persistent'?"},
      {kToy, "langevin.clamp=[1, 1]",
       "langevin.clamp: must be null, or [low, high], two finite numbers with low < high"},
      {kToy, "langevin.clamp=[1]",
       "langevin.clamp: must be null, or [low, high], two finite numbers with low < high"},
      {kToy, "langevin.clamp=[0, inf]",
       "langevin.clamp: must be null, or [low, high], two finite numbers with low < high"},
      {kToy, "langevin.clamp=1",
       "langevin.clamp: must be null, or [low, high], two finite numbers with low < high"},
      {kToy, "langevin.clamp=[[0], 1]",
       "langevin.clamp: must be null, or [low, high], two finite numbers with low < high"},
      {kToy, "langevin.bank_size=0",
       "langevin.bank_size: must be an integer between 1 and 100000000, not '0'"},
      {kToy, "optimizer.lr=0", "optimizer.lr: must be a finite number above 0, not '0'"},
      {kToy, "optimizer.lr_min=0.2",
       "optimizer.lr_min: must be at most optimizer.lr = 0.1, not 0.2"},
      {kToy, "optimizer.lr_decay=1.5",
       "optimizer.lr_decay: must be a finite number above 0 and at most 1, not '1.5'"},
      {kToy, "train.iterations=0",
       "train.iterations: must be an integer between 1 and 4294967295, not '0'"},
      {kToy, "train.batch_size=1000001",
       "train.batch_size: must be an integer between 1 and 1000000, not '1000001'"},
      {kToy, "train.batch_size=10001",
       "train.batch_size: must be at most langevin.bank_size = 10000, not 10001"},
      {kToy, "data.sd=0", "data.sd: must be a finite number above 0, not '0'"},
      {kToy, "network.kind=vanilla",
       "network.kind: vanilla does not fit data.kind: gmm, which needs toy or a list of "
       "layers"},
      {kToy, "landscape.resolution=1",
       "landscape.resolution: must be an integer between 2 and 2000, not '1'"},
      {kToy, "landscape.resolution=2001",
       "landscape.resolution: must be an integer between 2 and 2000, not '2001'"},
      {kToy, "landscape.kde.chains=10000001",
       "landscape.kde.chains: must be an integer between 3 and 10000000, not '10000001'"},
      {kToy, "name=a/b", "name: must be usable as a folder's name, not 'a/b'"},
      {kToy, "name=..", "name: must be usable as a folder's name, not '..'"},
      {kImages, "network.kind=toy",
       "network.kind: toy does not fit data.kind: mnist, which needs vanilla, nonlocal or "
       "a list of layers"},
      {kImages, "network.features=1025",
       "network.features: must be an integer between 1 and 1024, not '1025'"},
      {kImages, "network={kind: nonlocal, features: 31}",
       "network.features: the nonlocal network needs an even number, not 31"},
      {kImages, "data.image_size=28",
       "data.image_size: the vanilla and nonlocal networks need 32, not 28; networks for other "
       "sizes are written as network.layers"},
      {kImages, "data.channels=2", "data.channels: must be 1 (grey) or 3 (colour), not 2"},
      {kImages, "data.path=null", "data.path: must be text, not null"},
      {kImages, "data.noise=-1", "data.noise: must be a finite number of at least 0, not '-1'"},
      {kImages, "longrun.every=-1",
       "longrun.every: must be an integer between 0 and 2147483647, not '-1'"},
      {kImages, "longrun.init=persistent",
       "longrun.init: persistent needs langevin.init: persistent; there is no bank otherwise"},
  });
}

TEST_F(ConfigTest, RefusesKeysThatDoNotApply) {
  expect_errors({
      {kToy, "data.path=x",
       "data.path: applies to image data (mnist, cifar10, flowers102, folder) only"},
      {kToy, "data.noise=0.1",
       "data.noise: applies to image data (mnist, cifar10, flowers102, folder) only"},
      {kToy, "longrun.every=1",
       "longrun: applies to image data (mnist, cifar10, flowers102, folder) only"},
      {kToy, "network.features=32",
       "network.features: applies to the vanilla and nonlocal networks only"},
      {kToy, "langevin.noise_init_factor=1",
       "langevin.noise_init_factor: applies to toy data with langevin.init: uniform or gaussian "
       "only"},
      {kToy, "data.split=test",
       "data.split: applies to data with a test set (mnist, cifar10) only"},
      {kImages, "data={kind: folder, path: x, split: train}",
       "data.split: applies to data with a test set (mnist, cifar10) only"},
      {kImages, "data.split=tst",
       "data.split: must be one of train, test, not 'tst'; did you mean 'test'?"},
      {kImages, "data.groups=4", "data.groups: applies to toy data (gmm, rings) only"},
      {kImages, "landscape.every=1", "landscape: applies to toy data (gmm, rings) only"},
      {kImages, "langevin.bank_size=5",
       "langevin.bank_size: applies to toy data with langevin.init: persistent only"},
  });
}

TEST_F(ConfigTest, NamesTheNearestKey) {
  EXPECT_EQ(error(std::string(kToy) + "sed: 1"), "FILE:7: sed: unknown key; did you mean 'seed'?");
  EXPECT_EQ(error(std::string(kToy) + "log:\n  every: 1\n  evry: 2"),
            "FILE:9: log.evry: unknown key; did you mean 'every'?");
  EXPECT_EQ(error(std::string(kToy) + "log: {often: 2}"),
            "FILE:7: log.often: unknown key; valid here: every");
}

TEST_F(ConfigTest, NamesMissingKeys) {
  // The section of each as it is without the key, and with the key misspelt.
  const std::vector<std::array<std::string, 4>> cases{
      {"data.kind", "{}", "{knd: gmm}", "kind"},
      {"data.path", "{kind: mnist}", "{kind: mnist, pathh: x}", "path"},
      {"network.kind", "{}", "{kinds: toy}", "kind"},
      {"optimizer.kind", "{lr: 1}", "{lr: 1, kin: sgd}", "kind"},
      {"optimizer.lr", "{kind: sgd}", "{kind: sgd, lrr: 1}", "lr"},
      {"langevin.epsilon", "{steps: 1, init: data}", "{epsilonn: 1, steps: 1, init: data}",
       "epsilon"},
      {"langevin.steps", "{epsilon: 1, init: data}", "{epsilon: 1, step: 1, init: data}", "steps"},
      {"langevin.init", "{epsilon: 1, steps: 1}", "{epsilon: 1, steps: 1, inti: data}", "init"},
      {"train.iterations", "{}", "{iteration: 1}", "iterations"},
  };
  for (const auto& [key, without, misspelt, leaf] : cases) {
    const std::string section = key.substr(0, key.find('.'));
    const std::string set = fmt::format("{}={}", section, without);
    const std::string missing = error(kToy, {set});
    EXPECT_TRUE(missing.ends_with(fmt::format("--set {}: {}: required key is missing", set, key)))
        << missing;
    // A misspelt key is missing too, but that it is unknown says more.
    const std::string message = error(kToy, {fmt::format("{}={}", section, misspelt)});
    EXPECT_TRUE(message.ends_with(fmt::format(": unknown key; did you mean '{}'?", leaf)))
        << message;
  }
  const std::string all =
      "\n  FILE: network.kind: required key is missing"
      "\n  FILE: optimizer.kind: required key is missing"
      "\n  FILE: optimizer.lr: required key is missing"
      "\n  FILE: langevin.epsilon: required key is missing"
      "\n  FILE: langevin.steps: required key is missing"
      "\n  FILE: langevin.init: required key is missing"
      "\n  FILE: train.iterations: required key is missing";
  EXPECT_EQ(error("seed: 1"),
            "the configuration has 9 errors:\n  FILE: data.kind: required key is missing" + all +
                "\n  FILE: name: required key is missing");
  EXPECT_EQ(error("name: x\ndata: {}"),
            "the configuration has 8 errors:\n  FILE:2: data.kind: required key is missing" + all);
}

TEST_F(ConfigTest, TellsAllErrorsInTheOrderOfTheFile) {
  EXPECT_EQ(
      error("name: a/b\n"
            "train:\n"
            "  iterations: 1e3\n"
            "  batch_sizes: 7\n"
            "seed: -1\n"
            "data: {kind: gmm, sd: 0, path: x, groups: 4, groups: 5}\n"
            "network: {kind: vanilla}\n"
            "optimizer: {kind: sgd, lr: 0.1, lr_min: 0.2}\n"
            "langevin: {epsilon: 0.125, init: persistent}\n"
            "longrun: {every: 5}\n"
            "checkpoint: [1, 2]\n",
            {"log.every=0", "x", "divergence=rollbak"}),
      "the configuration has 15 errors:\n"
      "  FILE:1: name: must be usable as a folder's name, not 'a/b'\n"
      "  FILE:3: train.iterations: must be an integer between 1 and 4294967295, not '1e3'\n"
      "  FILE:4: train.batch_sizes: unknown key; did you mean 'batch_size'?\n"
      "  FILE:5: seed: must be an integer between 0 and 18446744073709551615, not '-1'\n"
      "  FILE:6: data.sd: must be a finite number above 0, not '0'\n"
      "  FILE:6: data.path: applies to image data (mnist, cifar10, flowers102, folder) only\n"
      "  FILE:6: duplicate key 'groups'\n"
      "  FILE:7: network.kind: vanilla does not fit data.kind: gmm, which needs toy or a list "
      "of layers\n"
      "  FILE:8: optimizer.lr_min: must be at most optimizer.lr = 0.1, not 0.2\n"
      "  FILE:9: langevin.steps: required key is missing\n"
      "  FILE:10: longrun: applies to image data (mnist, cifar10, flowers102, folder) only\n"
      "  FILE:11: checkpoint: must be a map of keys, not a list\n"
      "  --set log.every=0: log.every: must be an integer between 1 and 2147483647, not '0'\n"
      "  --set x: expected section.key=value\n"
      "  --set divergence=rollbak: divergence.action: must be one of stop, rollback, not "
      "'rollbak'; did you mean 'rollback'?");
}

// Of a kind that is not known, no key can be said to be missing or not to apply.
TEST_F(ConfigTest, WhatFollowsFromAnErrorIsNone) {
  EXPECT_EQ(error(kToy, {"data.kind=gnn", "data.path=x", "data.groups=3", "longrun.every=1",
                         "landscape.every=1", "langevin.bank_size=50"}),
            "--set data.kind=gnn: data.kind: must be one of mnist, cifar10, flowers102, folder, "
            "gmm, rings, not 'gnn'");
  EXPECT_EQ(error(kToy, {"network.kind=nonlocl", "network.features=31"}),
            "--set network.kind=nonlocl: network.kind: must be one of toy, vanilla, nonlocal, "
            "custom, not 'nonlocl'; did you mean 'nonlocal'?");
  EXPECT_EQ(error(kToy, {"langevin.init=unifrm", "langevin.noise_init_factor=2"}),
            "--set langevin.init=unifrm: langevin.init: must be one of persistent, data, uniform, "
            "gaussian, not 'unifrm'; did you mean 'uniform'?");
  EXPECT_EQ(error(kToy, {"optimizer.lr=-1", "optimizer.lr_min=0.2"}),
            "--set optimizer.lr=-1: optimizer.lr: must be a finite number above 0, not '-1'");
  EXPECT_EQ(
      error(kImages, {"network={layers: [flatten, linaer: {outputs: 1}, max_pol]}"}),
      "the configuration has 2 errors:\n"
      "  --set network={layers: [flatten, linaer: {outputs: 1}, max_pol]}: network.layers[1]: "
      "must be one of conv, leaky_relu, silu, max_pool, avg_pool, "
      "nonlocal, flatten, linear, residual, not 'linaer'; did you mean 'linear'?\n"
      "  --set network={layers: [flatten, linaer: {outputs: 1}, max_pol]}: network.layers[2]: "
      "must be one of conv, leaky_relu, silu, max_pool, avg_pool, "
      "nonlocal, flatten, linear, residual, not 'max_pol'; did you mean 'max_pool'?");
}

TEST_F(ConfigTest, RefusesWhatIsNotOneMapOfDistinctKeys) {
  EXPECT_EQ(error(""), "FILE: is empty");
  EXPECT_EQ(error("# nothing\n"), "FILE: is empty");
  EXPECT_EQ(error("---\n"), "FILE: must be a map of keys, not null");
  EXPECT_EQ(error("- a"), "FILE: must be a map of keys, not a list");
  EXPECT_EQ(error("text"), "FILE: must be a map of keys, not 'text'");
  EXPECT_EQ(error("text", {"a=1"}), "FILE: must be a map of keys, not 'text'");
  EXPECT_EQ(error(std::string(kToy) + "---\nname: b\n"),
            "FILE:8: a second YAML document starts; only one is allowed");
  EXPECT_EQ(error(std::string(kToy) + "seed: 1\nseed: 1\n"), "FILE:8: duplicate key 'seed'");
  EXPECT_EQ(error(std::string(kToy) + "log: {every: 1, 'every': 2}\n"),
            "FILE:7: duplicate key 'every'");
  EXPECT_EQ(error(std::string(kToy) + "? [a]\n: 1\n"),
            "FILE:7: a key must be a plain name (or a bracket is not closed)");
  EXPECT_EQ(error(std::string(kToy) + "~: 1\n"),
            "FILE:7: a key must be a plain name (or a bracket is not closed)");
  EXPECT_EQ(error(std::string(kToy) + "log: {every: 1\nseed: 1\n"),
            "FILE:8: not valid YAML: end of map flow not found");
}

TEST_F(ConfigTest, RefusesHostileText) {
  EXPECT_EQ(error("a: &x 1\nb: *x\n"), "FILE:1: YAML anchors (&name) are not supported");
  EXPECT_EQ(error("a: *x\n"), "FILE:1: not valid YAML: the referenced anchor is not defined");
  EXPECT_EQ(error("name: !!str x\n"), "FILE:1: YAML tags (!type) are not supported");
  EXPECT_EQ(error("name: !!binary {a: b}\n"), "FILE:1: YAML tags (!type) are not supported");
  EXPECT_TRUE(error("<<: {name: x}\n").ends_with("\n  FILE: name: required key is missing"));
  for (const std::string opening : {"[", "{", "- ", "? ", "{a: ", "a: {", "[ ? ", ": "}) {
    std::string text;
    while (text.size() < 500'000) {
      text += opening;
    }
    const std::string message = error(text);
    EXPECT_TRUE(message.starts_with("FILE:1: ")) << message;
    EXPECT_LT(message.size(), 300U);
  }
  std::string many;
  for (int i = 0; i < 100'000; ++i) {
    many += fmt::format("k{}: 1\n", i);
  }
  const std::string of_many = error(many);
  EXPECT_TRUE(of_many.starts_with("the configuration has 100009 errors:\n  FILE:1: k0: unknown"));
  EXPECT_TRUE(of_many.ends_with("\n  and 99909 more"));
  EXPECT_LT(of_many.size(), 20'000U);
  const std::string long_name(1'000'000, 'x');
  EXPECT_LT(error(long_name + ": 1").size(), 1000U);
  EXPECT_LT(error("name: '" + long_name + "'").size(), 1000U);
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_NE(error(std::string(50, static_cast<char>(byte))), "loaded without an error");
  }
}

// The first and last of each length, and around the gaps; then what is cut, overlong, or in a gap.
TEST_F(ConfigTest, TextIsUnicode) {
  for (const std::string text :
       {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xB7\x8F", "\xEF\xBF\xBD", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBD"}) {
    TrainConfig config = load(kImages, {"data.path=" + text});
    config.data.path += "\x14";  // by which it is written in quotes
    EXPECT_EQ(load(to_yaml(config)), config) << to_yaml(config);
  }
  for (const std::string text : {"\xFF", "\x80", "\xC3", "\xC3x", "\xE2\x82", "\xC1\xBF",
                                 "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80", "\xEF\xB7\x90",
                                 "\xEF\xBF\xBE", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80"}) {
    EXPECT_EQ(
        error(kImages, {"data.path=" + text}),
        fmt::format("--set data.path={}: data.path: is not UTF-8 text, and YAML can hold no other; "
                    "rename what it names",
                    text));
  }
}

TEST_F(ConfigTest, RefusesUnreadableFiles) {
  EXPECT_EQ(error(std::string(1'048'577, '#')),
            "FILE: is larger than 1 MiB, too large for a configuration file");
  const auto message = [](const fs::path& file) {
    try {
      load_train_config(file);
    } catch (const ConfigurationError& refused) {
      return std::string(refused.what());
    }
    return std::string("loaded without an error");
  };
  EXPECT_EQ(message("/no/such/file.yaml"),
            "/no/such/file.yaml: cannot open this configuration file: No such file or directory");
  EXPECT_EQ(message("/"), "/: is a directory, not a configuration file");
  EXPECT_EQ(message("/dev/zero"),
            "/dev/zero: is larger than 1 MiB, too large for a configuration file");
}

TEST(ConfigNames, AreThoseOfTheFiles) {
  EXPECT_EQ(to_string(DataKind::rings), "rings");
  EXPECT_EQ(to_string(NetworkKind::nonlocal), "nonlocal");
  EXPECT_EQ(to_string(OptimizerKind::adam), "adam");
  EXPECT_EQ(to_string(InitialStates::gaussian), "gaussian");
  EXPECT_EQ(to_string(Precision::bf16), "bf16");
}

}  // namespace
}  // namespace ebm
