// Training runs: across thread counts, for every experiment, and in their files.

#include "host/training/trainer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "cuda/base/errors.h"
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
std::string refusal(std::size_t memory) {
  TrainConfig config = toy_config();
  config.network = {
      .kind = NetworkKind::custom,
      .channels = 2,
      .image_size = 1,
      .layers = {linear("a", 1000), silu(), linear("b", 1000), silu(), linear("c", 1)}};
  config.train = {.iterations = 1, .batch_size = 1};
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
  EXPECT_EQ(refusal(std::size_t{1} << 30), "");
  const std::string fewer = refusal(std::size_t{100} << 20);
  EXPECT_NE(fewer.find("device cpu, 8 threads: this configuration needs "), std::string::npos)
      << fewer;
  EXPECT_NE(fewer.find("and there are 100.0 MiB; use --threads "), std::string::npos) << fewer;
  const std::string smaller = refusal(std::size_t{10} << 20);
  EXPECT_NE(smaller.find("there are 10.0 MiB; use a smaller network"), std::string::npos)
      << smaller;
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
  EXPECT_EQ(names,
            (std::vector<std::string>{
                "checkpoints/latest", "checkpoints/net_000003.safetensors",
                "checkpoints/net_000004.safetensors", "checkpoints/state_000003.safetensors",
                "checkpoints/state_000004.safetensors", "config.yaml", "correlations.csv",
                "diagnosis.gp", "diagnostics.csv", "events.csv", "longrun/longrun_000002.png",
                "longrun/longrun_000004.png", "plots.gp", "shortrun/bank_000002.png",
                "shortrun/bank_000004.png", "shortrun/x_000002.png", "shortrun/x_000004.png"}));
}

INSTANTIATE_TEST_SUITE_P(Networks, ImageTrainer,
                         testing::Values(NetworkKind::vanilla, NetworkKind::nonlocal),
                         [](const auto& instance) {
                           return std::string(to_string(instance.param));
                         });

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
