// The files under configs/ against the published values, written out here a second time.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/config/config.h"
#include "tests/support/places.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

const fs::path kShipped = shipped_configs();

TrainConfig published_toy(const std::string& name, DataKind kind, int groups, double bandwidth) {
  TrainConfig config;
  config.name = name;
  config.data = {.kind = kind, .groups = groups, .sd = 0.15, .radius = 1.0};
  config.network = {.kind = NetworkKind::toy, .channels = 2, .image_size = 1};
  config.log.every = 100;
  config.checkpoint = {.every = 100, .keep = 3};
  config.landscape = {
      .every = 1000, .resolution = 200, .kde = {.chains = 10'000, .bandwidth = bandwidth}};
  return config;
}

TrainConfig convergent(TrainConfig config) {
  config.optimizer = {.kind = OptimizerKind::sgd, .lr = 0.1, .lr_min = 0.1, .lr_decay = 1.0};
  config.langevin = {.epsilon = 0.125,
                     .steps = 500,
                     .init = InitialStates::persistent,
                     .clamp = std::nullopt,
                     .bank_size = 10'000};
  config.train = {.iterations = 200'000, .batch_size = 100};
  return config;
}

TrainConfig nonconvergent(TrainConfig config, double noise_init_factor) {
  config.optimizer = {.kind = OptimizerKind::adam, .lr = 1e-4, .lr_min = 1e-4, .lr_decay = 1.0};
  config.langevin = {.epsilon = 0.01,
                     .steps = 100,
                     .init = InitialStates::gaussian,
                     .clamp = std::nullopt,
                     .noise_init_factor = noise_init_factor};
  config.train = {.iterations = 100'000, .batch_size = 100};
  return config;
}

TrainConfig mnist_convergent() {
  TrainConfig config;
  config.name = "mnist_convergent";
  config.data = {.kind = DataKind::mnist,
                 .path = "data/mnist",
                 .image_size = 32,
                 .channels = 1,
                 .noise = 0.015};
  config.network = {.kind = NetworkKind::nonlocal, .features = 32, .channels = 1};
  config.optimizer = {.kind = OptimizerKind::sgd, .lr = 0.01, .lr_min = 0.01, .lr_decay = 1.0};
  config.langevin = {.epsilon = 0.0075, .steps = 500, .init = InitialStates::persistent};
  config.train = {.iterations = 100'000, .batch_size = 100};
  config.log.every = 100;
  config.longrun = {.every = 5000, .steps = 100'000, .init = InitialStates::data};
  return config;
}

/// The published non-convergent ConvNet experiments: they differ in their data and their chains.
TrainConfig vanilla_images(const std::string& name, DataKind kind, const std::string& path,
                           int steps, InitialStates init) {
  TrainConfig config;
  config.name = name;
  config.data = {.kind = kind, .path = path, .image_size = 32, .channels = 3, .noise = 0.03};
  config.network = {.kind = NetworkKind::vanilla, .features = 32};
  config.optimizer = {.kind = OptimizerKind::adam, .lr = 1e-4, .lr_min = 1e-4, .lr_decay = 1.0};
  config.langevin = {.epsilon = 0.01, .steps = steps, .init = init};
  config.train = {.iterations = 100'000, .batch_size = 100};
  config.log.every = 100;
  config.longrun = {.every = 10'000, .steps = 100'000, .init = InitialStates::data};
  return config;
}

TrainConfig flowers_convergent() {
  TrainConfig config;
  config.name = "flowers_convergent";
  config.data = {.kind = DataKind::flowers102,
                 .path = "data/flowers102",
                 .image_size = 32,
                 .channels = 3,
                 .noise = 0.015};
  config.network = {.kind = NetworkKind::nonlocal, .features = 32};
  config.optimizer = {.kind = OptimizerKind::sgd, .lr = 0.1, .lr_min = 0.0005, .lr_decay = 0.99995};
  config.langevin = {.epsilon = 0.0075, .steps = 500, .init = InitialStates::persistent};
  config.train = {.iterations = 200'000, .batch_size = 100};
  config.log.every = 100;
  config.longrun = {.every = 10'000, .steps = 100'000, .init = InitialStates::data};
  return config;
}

TEST(ShippedConfigs, HaveThePublishedValues) {
  const TrainConfig gmm = convergent(published_toy("gmm_convergent", DataKind::gmm, 8, 0.1));
  TrainConfig quick_gmm = gmm;
  quick_gmm.name = "quick_gmm_convergent";
  quick_gmm.train.iterations = 2000;
  quick_gmm.landscape.every = 100;
  quick_gmm.checkpoint.every = 500;

  const std::vector<std::pair<std::string, TrainConfig>> published{
      {"gmm_convergent", gmm},
      {"gmm_nonconvergent",
       nonconvergent(published_toy("gmm_nonconvergent", DataKind::gmm, 8, 0.1), 1.0)},
      {"rings_convergent",
       convergent(published_toy("rings_convergent", DataKind::rings, 4, 0.075))},
      {"rings_nonconvergent",
       nonconvergent(published_toy("rings_nonconvergent", DataKind::rings, 4, 0.075), 2.0)},
      {"mnist_convergent", mnist_convergent()},
      {"cifar10_nonconvergent", vanilla_images("cifar10_nonconvergent", DataKind::cifar10,
                                               "data/cifar10", 150, InitialStates::uniform)},
      {"cifar10_oscillate", vanilla_images("cifar10_oscillate", DataKind::cifar10, "data/cifar10",
                                           500, InitialStates::persistent)},
      {"flowers_convergent", flowers_convergent()},
      {"flowers_nonconvergent", vanilla_images("flowers_nonconvergent", DataKind::flowers102,
                                               "data/flowers102", 150, InitialStates::uniform)},
      {"quick/gmm_convergent", quick_gmm},
  };
  for (const auto& [name, expected] : published) {
    const TrainConfig config = load_train_config(kShipped / (name + ".yaml"));
    EXPECT_EQ(config, expected) << name << " is\n"
                                << to_yaml(config) << "but was published as\n"
                                << to_yaml(expected);
    EXPECT_EQ(config.seed, 123U);
    EXPECT_EQ(config.device, "auto");
    EXPECT_EQ(config.precision, Precision::tf32);
  }
}

TEST(ShippedConfigs, SamplingHasThePublishedValues) {
  SampleConfig convergent;
  convergent.name = "flowers_convergent";
  convergent.network = {.kind = NetworkKind::nonlocal, .features = 32, .channels = 3};
  convergent.start = SamplingStart::data;
  convergent.data.kind = DataKind::flowers102;
  convergent.data.path = "data/flowers102";
  convergent.data.channels = 3;
  convergent.sample = {.checkpoint = "runs/flowers_convergent/checkpoints/net_200000.safetensors",
                       .train_epsilon = 0.0075,
                       .temperature_factor = 1,
                       .epsilon = 0.0075,
                       .steps = 250'000,
                       .chains = 100,
                       .mala = false};
  convergent.log.every = 500;

  SampleConfig adjusted = convergent;
  adjusted.name = "flowers_convergent_mh";
  adjusted.sample.epsilon = 0.002;
  adjusted.sample.steps = 1'000'000;
  adjusted.sample.mala = true;

  SampleConfig nonconvergent = convergent;
  nonconvergent.name = "flowers_nonconvergent";
  nonconvergent.network.kind = NetworkKind::vanilla;
  nonconvergent.start = SamplingStart::uniform;
  nonconvergent.data = {};
  nonconvergent.sample.checkpoint = "runs/flowers_nonconvergent/checkpoints/net_100000.safetensors";
  nonconvergent.sample.train_epsilon = 0.01;
  nonconvergent.sample.epsilon = 0.01;
  nonconvergent.sample.steps = 150;
  nonconvergent.log.every = 50;

  for (const SampleConfig& expected : {convergent, adjusted, nonconvergent}) {
    const SampleConfig config =
        load_sample_config(kShipped / "sampling" / (expected.name + ".yaml"));
    EXPECT_EQ(config, expected) << expected.name << " is\n"
                                << to_yaml(config) << "but was published as\n"
                                << to_yaml(expected);
  }
}

TEST(ShippedConfigs, SurviveWriting) {
  const fs::path copy =
      fs::path(testing::TempDir()) / fmt::format("shipped_configs.{}.yaml", ::getpid());
  int files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kShipped)) {
    const fs::path folder = entry.path().parent_path().filename();
    if (folder == "evaluation") {
      const EvaluateConfig config = load_evaluate_config(entry.path());
      std::ofstream(copy) << to_yaml(config);
      EXPECT_EQ(load_evaluate_config(copy), config) << entry.path();
    } else if (folder == "sampling") {
      const SampleConfig config = load_sample_config(entry.path());
      std::ofstream(copy) << to_yaml(config);
      EXPECT_EQ(load_sample_config(copy), config) << entry.path();
    } else if (entry.path().extension() == ".yaml") {
      const TrainConfig config = load_train_config(entry.path());
      std::ofstream(copy) << to_yaml(config);
      EXPECT_EQ(load_train_config(copy), config) << entry.path();
      ++files;
    }
  }
  EXPECT_GE(files, 12);
  fs::remove(copy);
}

}  // namespace
}  // namespace ebm
