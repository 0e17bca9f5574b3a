// Training runs: across thread counts, for every experiment, and in their files.

#include "host/training/trainer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/nn/host_states.h"
#include "host/data/load_images.h"
#include "host/files/npy.h"
#include "host/training/checkpoint.h"
#include "tests/support/environment_variable.h"
#include "tests/support/layers.h"
#include "tests/support/picture_files.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"

namespace ebm {
namespace {

TEST(Trainer, ToyRunIsTheSameBitsForAnyNumberOfThreads) {
  TrainConfig config = toy_config();
  config.landscape.every = 3;
  const TemporaryFolder folder;
  std::map<std::string, std::string> first;
  for (const int threads : {1, 2, 5}) {
    const Threads use(threads);
    const std::filesystem::path out = folder / std::to_string(threads);
    train(config, out);
    const auto files = results(out);
    if (threads == 1) {
      first = files;
      EXPECT_TRUE(files.contains("checkpoints/net_000006.safetensors"));
      EXPECT_TRUE(files.contains("landscape/landscape.csv"));
      EXPECT_TRUE(files.contains("landscape/landscape_000003_shortrun_density.npy"));
    } else {
      EXPECT_EQ(files, first) << threads << " threads";
    }
  }
}

/// Why a run of a network of two wide layers is refused where there is so much memory; empty where
/// it is not.
std::string refusal(const TrainConfig& config, std::size_t memory) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "run");
  RunLog log(run.log(), true);
  try {
    Trainer(config, run, log, never_asked_to_stop, {.cpu_memory = memory});
    return "";
  } catch (const ConfigurationError& error) {
    return error.what();
  }
}

TEST(Trainer, RefusesANetworkThatTheMemoryDoesNotHold) {
  const Threads use(8);
  TrainConfig config = toy_config();
  config.network = {
      .kind = NetworkKind::custom,
      .channels = 2,
      .image_size = 1,
      .layers = {linear("a", 1000), silu(), linear("b", 1000), silu(), linear("c", 1)}};
  config.train = {.iterations = 1, .batch_size = 1};
  EXPECT_EQ(refusal(config, std::size_t{1} << 30), "");
  const std::string fewer = refusal(config, std::size_t{100} << 20);
  EXPECT_NE(fewer.find("device cpu, 8 threads: this configuration needs "), std::string::npos)
      << fewer;
  EXPECT_NE(fewer.find("and there are 100.0 MiB; use --threads "), std::string::npos) << fewer;
  const std::string smaller = refusal(config, std::size_t{10} << 20);
  EXPECT_NE(smaller.find("there are 10.0 MiB; use a smaller network"), std::string::npos)
      << smaller;
}

TEST(Trainer, RefusesItBeforeItReadsTheImages) {
  const TrainConfig config = image_config(NetworkKind::vanilla, "no such folder");
  const std::string refused = refusal(config, std::size_t{1} << 20);
  EXPECT_NE(refused.find("there are 1.0 MiB; use a smaller network"), std::string::npos) << refused;
}

class ImageTrainer : public testing::TestWithParam<NetworkKind> {};

TEST_P(ImageTrainer, IsTheSameBitsForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", 30);
  const TrainConfig config = image_config(GetParam(), folder / "data");
#ifdef EBM_EMULATED_CUDA
  const std::vector<int> counts = {1, 3};  // minutes: an emulated GPU
#else
  const std::vector<int> counts = {1, 2, 3};
#endif
  std::map<std::string, std::string> first;
  for (const int threads : counts) {
    const Threads use(threads);
    const std::filesystem::path out = folder / std::to_string(threads);
    train(config, out);
    if (threads == 1) {
      first = results(out);
    } else {
      EXPECT_EQ(results(out), first) << threads << " threads";
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, content] : first) {
    names.push_back(name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"checkpoints/latest",
                                             "checkpoints/net_000003.safetensors",
                                             "checkpoints/net_000004.safetensors",
                                             "checkpoints/state_000003.safetensors",
                                             "checkpoints/state_000004.safetensors",
                                             "config.yaml",
                                             "correlations.csv",
                                             "diagnosis.gp",
                                             "diagnostics.csv",
                                             "events.csv",
                                             "longrun/energy_000002.gp",
                                             "longrun/energy_000002.npy",
                                             "longrun/energy_000004.gp",
                                             "longrun/energy_000004.npy",
                                             "longrun/gradient_000002.gp",
                                             "longrun/gradient_000002.npy",
                                             "longrun/gradient_000004.gp",
                                             "longrun/gradient_000004.npy",
                                             "longrun/longrun_000002.png",
                                             "longrun/longrun_000004.png",
                                             "longrun/steps_000002.csv",
                                             "longrun/steps_000004.csv",
                                             "plots.gp",
                                             "shortrun/bank_000002.png",
                                             "shortrun/bank_000004.png",
                                             "shortrun/x_000002.png",
                                             "shortrun/x_000004.png"}));
}

INSTANTIATE_TEST_SUITE_P(Networks, ImageTrainer,
                         testing::Values(NetworkKind::vanilla, NetworkKind::nonlocal),
                         [](const auto& instance) {
                           return std::string(to_string(instance.param));
                         });

/// Long chains from data that are one image, without noise: what is recorded of the first step is
/// the energy of that image and its gradient, by the network that was saved with it.
TEST(Trainer, RecordsEveryStepOfLongRuns) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "data");
  std::string pixels;
  for (int image = 0; image < 12; ++image) {
    for (int i = 0; i < 28 * 28; ++i) pixels += static_cast<char>(i * 7 % 256);
  }
  write_bytes(folder / "data/train-images-idx3-ubyte", idx_bytes({12, 28, 28}, pixels));
  TrainConfig config = image_config(NetworkKind::vanilla, folder / "data");
  config.data.noise = 0;
  config.train.iterations = 2;
  ASSERT_TRUE(train(config, folder / "run"));
  const NpyArray energy = read_npy(folder / "run/longrun/energy_000002.npy");
  const NpyArray gradient = read_npy(folder / "run/longrun/gradient_000002.npy");
  EXPECT_EQ(energy.shape, (std::vector<std::int64_t>{60, 10}));
  EXPECT_EQ(gradient.shape, energy.shape);

  const Checkpoint saved = load_checkpoint(folder / "run/checkpoints/net_000002.safetensors", {});
  const std::unique_ptr<Energy> net = make_energy(tested_device(config), saved.network, 10);
  HostStates states(*net);
  states.set_parameters(saved.parameters.span());
  const std::vector<float> image = load_images(config.data).images;
  std::vector<float> f(1);
  std::vector<float> slope(1024);
  states.energies_and_gradients(std::span(image).first(1024), f, slope);
  double square = 0;
  for (const float x : slope) square += static_cast<double>(x) * static_cast<double>(x);
  const double temperature = config.langevin.epsilon * config.langevin.epsilon / 2;
  for (std::size_t chain = 0; chain < 10; ++chain) {
    EXPECT_NEAR(energy.values[chain], static_cast<double>(f[0]) / temperature,
                1e-4 * std::abs(static_cast<double>(f[0])) / temperature);
    EXPECT_NEAR(gradient.values[chain], std::sqrt(square), 1e-4 * std::sqrt(square));
    EXPECT_NE(energy.values[10 + chain], energy.values[chain]);  // which has moved since
  }
  const auto steps = read_csv(folder / "run/longrun/steps_000002.csv", 7);
  ASSERT_EQ(steps.size(), 60U);
  EXPECT_NEAR(steps[0][1], static_cast<double>(energy.values[0]),
              1e-5 * std::abs(static_cast<double>(energy.values[0])));
  EXPECT_TRUE(mentions(
      read_bytes(folder / "run/log.txt"),
      {"numbers outside [-1, 1]: ", "% of the chains', ", "% of the bank's",
       "long-run chains of iteration 2: 60 steps, ", "% of their numbers outside [-1, 1]"}));
}

TEST(Trainer, EveryInitializationRuns) {
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", 12);
  for (const InitialStates init : {InitialStates::persistent, InitialStates::data,
                                   InitialStates::uniform, InitialStates::gaussian}) {
    const std::string name(to_string(init));
    TrainConfig images = image_config(NetworkKind::vanilla, folder / "data");
    images.langevin.init = init;
    images.train.iterations = 2;
    train(images, folder / ("images_" + name));
    TrainConfig toy = toy_config();
    toy.langevin.init = init;
    toy.landscape.every = 6;
    train(toy, folder / ("toy_" + name));
    for (const char* run : {"images_", "toy_"}) {
      for (const auto& row : read_csv(folder / (run + name) / "diagnostics.csv", 3)) {
        EXPECT_TRUE(std::isfinite(row[1]) && row[2] > 0) << run << name;
      }
    }
  }
}

TEST(Trainer, TheBankStartsFromTheLawOfUniformStarts) {
  TrainConfig config = toy_config();
  config.langevin.steps = 1;
  config.train = {.iterations = 1, .batch_size = 2000};
  config.langevin.bank_size = 2000;
  const TemporaryFolder folder;
  std::map<InitialStates, double> r_s;
  for (const InitialStates init : {InitialStates::persistent, InitialStates::uniform}) {
    config.langevin.init = init;
    config.langevin.noise_init_factor = 1;
    const std::filesystem::path out = folder / std::string(to_string(init));
    train(config, out);
    r_s[init] = read_csv(out / "diagnostics.csv", 3)[0][2];
  }
  // The bank starts as U(−1, 1), the same law as uniform starts: gradients of a smooth energy
  // agree.
  EXPECT_NEAR(r_s[InitialStates::persistent], r_s[InitialStates::uniform],
              0.1 * r_s[InitialStates::uniform]);
}

/// Writes a small data set of this kind as data.path expects it.
void write_small_images(const std::filesystem::path& folder, DataKind kind) {
  for (unsigned i = 0; i < 15; ++i) {
    if (kind == DataKind::cifar10) {
      const std::string record = '\7' + arbitrary_bytes(3072);
      write_below(folder / fmt::format("data_batch_{}.bin", i % 5 + 1), record + record + record);
    } else {
      write_below(folder / fmt::format("jpg/{}.jpg", i), jpeg_bytes(smooth_picture(40, 50, 3, i)));
    }
  }
}

TEST(Trainer, EveryImageExperimentRuns) {
  const TemporaryFolder folder;
  const EnvironmentVariable cache("XDG_CACHE_HOME", folder.path().string());
  for (const char* name : {"cifar10_nonconvergent", "cifar10_oscillate", "flowers_convergent",
                           "flowers_nonconvergent", "quick/flowers"}) {
    const std::filesystem::path run = folder / std::filesystem::path(name).filename().string();
    const std::vector<std::string> smaller = {
        "data.path=" + (run / "data").string(), "network.features=4", "langevin.steps=3",
        "train={iterations: 2, batch_size: 5}", "longrun={every: 2, steps: 4, init: data}"};
    const TrainConfig config =
        load_train_config(shipped_configs() / fmt::format("{}.yaml", name), smaller);
    write_small_images(run / "data", config.data.kind);
    train(config, run / "out");
    const auto rows = read_csv(run / "out/diagnostics.csv", 3);
    ASSERT_EQ(rows.size(), 2U) << name;
    EXPECT_TRUE(std::isfinite(rows[1][1]) && rows[1][2] > 0) << name;
    EXPECT_TRUE(std::filesystem::exists(run / "out/longrun/longrun_000002.png")) << name;
  }
}

TEST(Trainer, ANetworkOfResidualsRuns) {
  const TemporaryFolder folder;
  const EnvironmentVariable cache("XDG_CACHE_HOME", folder.path().string());
  write_small_images(folder / "data", DataKind::folder);
  const TrainConfig config = load_train_config(
      shipped_configs() / "quick/residual.yaml",
      std::vector<std::string>{"data={kind: folder, path: " + (folder / "data").string() +
                                   ", image_size: 16, channels: 1}",
                               "langevin.steps=3", "train={iterations: 2, batch_size: 5}",
                               "longrun={every: 2, steps: 4, init: data}"});
  train(config, folder / "out");
  const auto rows = read_csv(folder / "out/diagnostics.csv", 3);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_TRUE(std::isfinite(rows[1][1]) && rows[1][2] > 0);
}

TEST(Trainer, DiagnosticsOutliveAFailureBetweenLogPoints) {
  TrainConfig config = toy_config();
  config.train.iterations = 5;
  config.log.every = 100;
  config.checkpoint.every = 4;
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "run");
  const RunFolder run_folder = RunFolder::create(folder / "run");
  RunLog log(run_folder.log(), true);
  Trainer trainer(config, run_folder, log);
  write_bytes(folder / "run/checkpoints", "a file where the folder should be");
  EXPECT_THROW(trainer.run(), OutputError);
  EXPECT_GE(trainer.iteration(), 4);  // it may have gone on while the state was written
  EXPECT_EQ(std::ssize(read_csv(folder / "run/diagnostics.csv", 1)), trainer.iteration());
}

TEST(Trainer, BatchLargerThanTheDataIsRefused) {
  const TemporaryFolder folder;
  write_small_mnist(folder / "data", 9);
  const std::string message = message_of<ConfigurationError>(
      [&] { train(image_config(NetworkKind::vanilla, folder / "data"), folder / "run"); });
  EXPECT_TRUE(mentions(message, {"train.batch_size", "10", "9 images"})) << message;
}

TEST(RunFolder, NeverOverwrites) {
  const TemporaryFolder folder;
  write_bytes(folder / "kept.txt", "x");
  EXPECT_TRUE(mentions(message_of<ConfigurationError>([&] { RunFolder::create(folder.path()); }),
                       {folder.path().string(), "not empty", "--out"}));
  EXPECT_TRUE(
      mentions(message_of<ConfigurationError>([&] { RunFolder::create(folder / "kept.txt"); }),
               {"kept.txt", "is a file"}));
  std::filesystem::create_directories(folder / "a/b");  // empty
  EXPECT_NO_THROW(RunFolder::create(folder / "a/b"));
}

}  // namespace
}  // namespace ebm
