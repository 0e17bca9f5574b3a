// Every published experiment through the programs, from our YAML and from the published JSON: two
// iterations or steps of the very configurations, small, on data in the layout that they expect.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/files/safetensors.h"
#include "host/training/checkpoint.h"
#include "tests/support/picture_files.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

const fs::path kOurs = shipped_configs();
const fs::path kPublished = test_data() / "published";

/// data/mnist, data/cifar10 and data/flowers102 as downloads leave them, with a few images each.
void write_data_sets(const fs::path& data) {
  write_small_mnist(data / "mnist", 6);
  for (unsigned batch = 1; batch <= 5; ++batch) {
    write_below(data / fmt::format("cifar10/cifar-10-batches-bin/data_batch_{}.bin", batch),
                cifar10_record(1, smooth_picture(32, 32, 3, batch)));
  }
  std::vector<TarEntry> flowers = {{.name = "jpg/", .type = AE_IFDIR}};
  for (unsigned i = 1; i <= 5; ++i) {
    flowers.push_back(
        {fmt::format("jpg/image_{:05}.jpg", i), jpeg_bytes(smooth_picture(50, 40, 3, i))});
  }
  fs::create_directories(data / "flowers102");
  write_tar(data / "flowers102/102flowers.tgz", flowers);
}

class Experiments : public testing::Test {
 protected:
  Experiments() { write_data_sets(folder_ / "data"); }

  /// Runs a program in the folder that holds data/, without plots.
  void run(const std::string& program, const fs::path& config, const std::string& out,
           const std::string& settings) const {
    const Outcome outcome = shell(
        fmt::format("cd {} && PATH=/nowhere XDG_CACHE_HOME={} {} {} --quiet --threads 1 --out {}{}",
                    folder_.path().string(), (folder_ / "cache").string(), program_path(program),
                    config.string(), out, settings));
    EXPECT_EQ(outcome.status, 0) << config << ": " << outcome.output;
  }

  void expect_files(const std::string& out, const std::vector<std::string>& files) const {
    for (const std::string& file : files) {
      EXPECT_TRUE(fs::is_regular_file(folder_ / out / file)) << out << '/' << file;
    }
  }

  /// Two iterations from the YAML and from the JSON of that name, which make the same network.
  void train_from_both(const std::string& name, const std::string& settings,
                       const std::vector<std::string>& files) const {
    const std::string small =
        " --set train.iterations=2 --set train.batch_size=2 --set langevin.steps=2"
        " --set log.every=1" +
        settings;
    const std::string again = name + "_json";
    run("ebm_train", kOurs / (name + ".yaml"), name, small);
    run("ebm_train", kPublished / (name + ".json"), again, small);
    const std::string network = "checkpoints/net_000002.safetensors";
    for (const std::string& out : {name, again}) {
      expect_files(out, {"config.yaml", "environment.json", "log.txt", "correlations.csv"});
      expect_files(out, files);
      EXPECT_EQ(read_csv(folder_ / out / "diagnostics.csv", 4).size(), 2U) << out;
    }
    EXPECT_EQ(read_bytes(folder_ / name / network), read_bytes(folder_ / again / network)) << name;
  }

  /// A network's file, as ebm_train writes it and as one converted from PyTorch is.
  void write_networks(const std::string& kind, double epsilon) const {
    const Network network = published_network(kind, 3, 4);
    save_checkpoint(folder_ / "ours.safetensors",
                    {.network = kind, .channels = 3, .features = 4, .epsilon = epsilon}, network,
                    initial_parameters(network, 1).span());
    TensorFile converted = read_safetensors(folder_ / "ours.safetensors");
    converted.metadata.clear();
    write_safetensors(folder_ / "converted.safetensors", converted);
  }

  const TemporaryFolder folder_;
};

constexpr const char* kSmallSampling =
    " --set network.features=4 --set sample.steps=2 --set sample.chains=2 --set log.every=1"
    " --set sample.checkpoint=";

TEST_F(Experiments, TrainOnToyDataTheSameFromBothFormats) {
  for (const std::string name :
       {"gmm_convergent", "gmm_nonconvergent", "rings_convergent", "rings_nonconvergent"}) {
    train_from_both(
        name,
        " --set landscape.every=2 --set landscape.resolution=20 --set landscape.kde.chains=10",
        {"landscape/landscape.csv", "landscape/landscape_000002.gp"});
  }
}

TEST_F(Experiments, TrainOnImagesTheSameFromBothFormats) {
  for (const std::string name : {"mnist_convergent", "cifar10_nonconvergent", "cifar10_oscillate",
                                 "flowers_convergent", "flowers_nonconvergent"}) {
    train_from_both(
        name, " --set network.features=4 --set longrun.every=2 --set longrun.steps=2",
        {"shortrun/x_000001.png", "shortrun/x_000002.png", "longrun/longrun_000002.png"});
    EXPECT_EQ(fs::exists(folder_ / name / "shortrun/bank_000002.png"),
              !name.ends_with("_nonconvergent"));
  }
}

TEST_F(Experiments, SampleTheSameFromBothFormats) {
  for (const std::string name :
       {"flowers_convergent", "flowers_convergent_mh", "flowers_nonconvergent"}) {
    const bool convergent = name.starts_with("flowers_convergent");
    write_networks(convergent ? "nonlocal" : "vanilla", convergent ? 0.0075 : 0.01);
    run("ebm_sample", kOurs / "sampling" / (name + ".yaml"), name,
        std::string(kSmallSampling) + "ours.safetensors");
    run("ebm_sample", kPublished / fmt::format("eval_{}.json", name), name + "_json",
        std::string(kSmallSampling) + "converted.safetensors");
    for (const std::string& out : {name, name + "_json"}) {
      expect_files(out, {"config.yaml", "environment.json", "log.txt", "energy.npy", "gradient.npy",
                         "steps.csv", "states_first.npy", "x_first.png", "x_last.png",
                         "states/x_000002.png"});
      EXPECT_EQ(fs::exists(folder_ / out / "acceptance.npy"), name.ends_with("_mh")) << out;
    }
    for (const char* file : {"energy.npy", "gradient.npy", "states_first.npy", "states_last.npy"}) {
      EXPECT_EQ(read_bytes(folder_ / name / file), read_bytes(folder_ / (name + "_json") / file))
          << name << ' ' << file;
    }
  }
}

}  // namespace
}  // namespace ebm
