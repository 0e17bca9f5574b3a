// ebm_sample as a user runs it, from saved networks: its files, messages and exit statuses.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cuda/diagnostics/mixing.h"
#include "host/data/mnist.h"
#include "host/files/npy.h"
#include "host/files/safetensors.h"
#include "host/sampling/sampling_run.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

using Shape3 = std::vector<std::int64_t>;

class SampleProgram : public testing::Test {
 protected:
  SampleProgram() {
    save(toy_, {.network = "toy", .channels = 2, .features = 32, .epsilon = 0.125}, "toy");
    save(vanilla_, {.network = "vanilla", .channels = 1, .features = 4, .epsilon = 0.01},
         "vanilla");
    write_bytes(folder_ / "toy.yaml",
                "name: toy_chains\n"
                "network: {kind: toy}\n"
                "start: gaussian\n"
                "sample: {checkpoint: " +
                    path("toy.safetensors") +
                    ", train_epsilon: 0.125, epsilon: 0.125, steps: 130, chains: 30}\n"
                    "log: {every: 60}\n");
    write_bytes(folder_ / "images.yaml",
                "name: image_chains\n"
                "network: {kind: vanilla, features: 4, channels: 1}\n"
                "start: uniform\n"
                "sample: {checkpoint: " +
                    path("vanilla.safetensors") +
                    ", train_epsilon: 0.01, epsilon: 0.01, steps: 6, chains: 5}\n"
                    "log: {every: 4}\n");
  }

  void save(const Network& network, const CheckpointInfo& info, const std::string& name) const {
    save_checkpoint(folder_ / (name + ".safetensors"), info, network,
                    initial_parameters(network, 3).span());
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Outcome sample(const std::string& config, const std::string& out,
                 const std::string& more = "") const {
    return shell(program_path("ebm_sample") + " " + path(config) + " --out " + path(out) + " " +
                 more);
  }
  NpyArray array(const std::string& name) const { return read_npy(folder_ / name); }

  /// f of `states` as ebm_score says, divided by T.
  std::vector<float> scored(const std::string& network, const Shape3& shape,
                            std::span<const float> states, float temperature) const {
    write_npy(folder_ / "x.npy", shape, states);
    const Outcome run =
        shell(program_path("ebm_score") + " --checkpoint " + path(network + ".safetensors") +
              " --input " + path("x.npy") + " --energy " + path("f.npy"));
    EXPECT_EQ(run.status, 0) << run.output;
    std::vector<float> energies = array("f.npy").values;
    for (float& f : energies) {
      f /= temperature;
    }
    return energies;
  }

  TemporaryFolder folder_;
  const Network toy_ = published_network("toy", 2, 32);
  const Network vanilla_ = published_network("vanilla", 1, 4);
};

TEST_F(SampleProgram, RecordsEveryStepOfToyChains) {
  for (const bool mala : {false, true}) {
    const std::string out = mala ? "mala" : "langevin";
    const Outcome run = sample("toy.yaml", out, mala ? "--set sample.mala=true" : "");
    ASSERT_EQ(run.status, 0) << run.output;
    EXPECT_TRUE(mentions(run.output, {"toy.safetensors", "step 60/130", "step 130/130", "energy",
                                      "gradient", "steps/s", path(out)}));
    EXPECT_EQ(run.output.find("acceptance") != std::string::npos, mala);
    for (const char* file : {"config.yaml", "environment.json", "log.txt", "steps.csv", "energy.gp",
                             "gradient.gp", "states_first.npy", "states_last.npy"}) {
      EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / out / file)) << file;
    }
    const NpyArray energy = array(out + "/energy.npy");
    EXPECT_EQ(energy.shape, (Shape3{130, 30}));
    EXPECT_EQ(array(out + "/gradient.npy").shape, (Shape3{130, 30}));
    EXPECT_EQ(std::filesystem::exists(folder_ / out / "acceptance.npy"), mala);
    if (mala) {
      const NpyArray acceptance = array(out + "/acceptance.npy");
      EXPECT_EQ(acceptance.shape, (Shape3{130}));
      EXPECT_TRUE(std::ranges::all_of(acceptance.values, [](float a) { return a >= 0 && a <= 1; }));
    }
    // Start, two log points and the end; the energies of the first three were recorded.
    const NpyArray states = array(out + "/states.npy");
    ASSERT_EQ(states.shape, (Shape3{4, 30, 2}));
    EXPECT_TRUE(std::ranges::equal(std::span(states.values).last(60),
                                   array(out + "/states_last.npy").values));
    for (std::size_t point = 0; point < 3; ++point) {
      const std::vector<float> expected =
          scored("toy", {30, 2}, std::span(states.values).subspan(60 * point, 60),
                 static_cast<float>(0.125 * 0.125 / 2));
      EXPECT_TRUE(
          std::ranges::equal(std::span(energy.values).subspan(60 * point * 30, 30), expected));
    }
    EXPECT_EQ(read_csv(folder_ / out / "steps.csv", 7).size(), 130U);
    const Mixing second_half = mixing(std::span(energy.values).last(65 * 30), 30);
    EXPECT_TRUE(mentions(run.output,
                         {fmt::format("R-hat {:.3f}, effective sizes {:.0f} (bulk) and {:.0f}",
                                      second_half.rhat, second_half.ess_bulk, second_half.ess_tail),
                          "of 1,950 draws"}));
  }
}

TEST_F(SampleProgram, ConfigurationAndLogPointsAndThreadsDoNotChangeTheChains) {
  ASSERT_EQ(sample("toy.yaml", "a", "--set sample.mala=true --threads 1").status, 0);
  const Outcome quiet = sample("a/config.yaml", "b", "--quiet --threads 2 --set log.every=7");
  EXPECT_EQ(quiet.status, 0);
  // Nothing but the one warning.
  EXPECT_TRUE(quiet.output.starts_with("warning: MALA accepts 9")) << quiet.output;
  EXPECT_TRUE(mentions(quiet.output, {"too small; try sample.epsilon: 0."}));
  EXPECT_EQ(std::ranges::count(quiet.output, '\n'), 1) << quiet.output;
  for (const char* file : {"/energy.npy", "/gradient.npy", "/acceptance.npy", "/states_last.npy"}) {
    EXPECT_EQ(read_bytes(folder_ / ("a" + std::string(file))),
              read_bytes(folder_ / ("b" + std::string(file))))
        << file;
  }
}

TEST_F(SampleProgram, SamplesImagesFromNoiseAndFromData) {
  write_small_mnist(folder_ / "digits", 20);
  const std::string data =
      "--set start=data --set data='{kind: mnist, path: " + path("digits") + "}'";
  int runs = 0;
  for (const std::string& start : {std::string(), data}) {
    for (const std::string& mala : {std::string(), std::string(" --set sample.mala=true")}) {
      const std::string out = fmt::format("run{}", runs++);
      const Outcome run = sample("images.yaml", out, start + mala);
      ASSERT_EQ(run.status, 0) << run.output;
      for (const char* file :
           {"x_first.png", "x_last.png", "states/x_000004.png", "states/x_000006.png"}) {
        EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / out / file)) << file;
      }
      const NpyArray first = array(out + "/states_first.npy");
      ASSERT_EQ(first.shape, (Shape3{5, 1, 32, 32}));
      const NpyArray energy = array(out + "/energy.npy");
      ASSERT_EQ(energy.shape, (Shape3{6, 5}));
      EXPECT_TRUE(std::ranges::equal(
          std::span(energy.values).first(5),
          scored("vanilla", first.shape, first.values, static_cast<float>(0.01 * 0.01 / 2))));
      if (!start.empty()) {
        const ImageDataset digits = load_mnist(folder_ / "digits", 32, 1);
        const auto state = std::span(first.values).first(1024);
        EXPECT_NE(
            std::search(digits.images.begin(), digits.images.end(), state.begin(), state.end()),
            digits.images.end());
      }
    }
  }
  const Outcome many = sample("images.yaml", "many", data + " --set sample.chains=21");
  EXPECT_EQ(many.status, 2);
  EXPECT_TRUE(mentions(many.output, {"sample.chains", "20 images"}));
}

TEST_F(SampleProgram, KeepsTheBoxThatTheNetworkWasTrainedIn) {
  save(toy_,
       {.network = "toy",
        .channels = 2,
        .features = 32,
        .epsilon = 0.125,
        .steps = 100,
        .clamp = Clamp({-0.25, 0.5})},
       "boxed");
  const std::string boxed =
      "--set sample.checkpoint=" + path("boxed.safetensors") + " --set start=uniform ";
  const auto inside = [&](const std::string& out) {
    return std::ranges::all_of(array(out + "/states_last.npy").values,
                               [](float x) { return x >= -0.25F && x <= 0.5F; });
  };
  const Outcome trained = sample("toy.yaml", "trained", boxed);
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_TRUE(mentions(trained.output, {"states in [-0.25, 0.5]"}));
  EXPECT_EQ(trained.output.find("warning"), std::string::npos) << trained.output;
  EXPECT_TRUE(inside("trained"));
  EXPECT_TRUE(mentions(read_bytes(folder_ / "trained/config.yaml"), {"clamp: trained"}));
  const Outcome again = sample("trained/config.yaml", "again");
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(again.output.find("warning"), std::string::npos) << again.output;
  EXPECT_EQ(array("again/states_last.npy").values, array("trained/states_last.npy").values);

  const Outcome without = sample("toy.yaml", "without", boxed + "--set sample.clamp=null");
  ASSERT_EQ(without.status, 0) << without.output;
  EXPECT_TRUE(mentions(without.output, {"warning", "sample.clamp is null", "boxed.safetensors",
                                        "trained with [-0.25, 0.5]"}));
  EXPECT_FALSE(inside("without"));
  const Outcome wider = sample("toy.yaml", "wider", boxed + "--set 'sample.clamp=[-1, 1]'");
  EXPECT_TRUE(mentions(wider.output, {"warning", "sample.clamp is [-1, 1]"}));
}

TEST_F(SampleProgram, NeedsNoConfigurationForARun) {
  TrainConfig trained = toy_config();
  trained.langevin.clamp = Clamp({-1.25, 1.25});
  train(trained, folder_ / "tries/first");
  const std::string net = path("tries/first/checkpoints/net_000006.safetensors");
  const auto in_folder = [&](const std::string& arguments) {
    return shell("cd " + folder_.path().string() + " && " + program_path("ebm_sample") + " " +
                 arguments);
  };
  // All of it: the same as with a configuration that says it.
  const Outcome run = in_folder(path("tries/first") + " --set sample.steps=40");
  ASSERT_EQ(run.status, 0) << run.output;
  const SampleConfig said = load_sample_config(folder_ / "runs/sampling/first/config.yaml");
  EXPECT_EQ(said.name, "first") << "not the template's";
  EXPECT_EQ(said.start, SamplingStart::data);
  EXPECT_EQ(said.data, trained.data);
  EXPECT_EQ(said.network.kind, NetworkKind::toy);
  EXPECT_EQ(said.sample.checkpoint, net);
  EXPECT_EQ(said.sample.train_epsilon, 0.125);
  EXPECT_EQ(said.sample.epsilon, 0.125);
  EXPECT_TRUE(mentions(run.output, {net, "iteration 6", "U = f/0.007812", "in [-1.25, 1.25]"}));
  EXPECT_TRUE(
      mentions(read_bytes(folder_ / "runs/sampling/first/energy.gp"), {"set title 'first'"}));
  write_bytes(folder_ / "said.yaml",
              "name: first\n"
              "network: {kind: toy}\n"
              "start: data\n"
              "data: {kind: gmm}\n"
              "sample: {checkpoint: " +
                  net +
                  ", train_epsilon: 0.125, epsilon: 0.125, steps: 40, clamp: [-1.25, 1.25]}\n");
  ASSERT_EQ(sample("said.yaml", "said").status, 0);
  EXPECT_EQ(read_bytes(folder_ / "said/energy.npy"),
            read_bytes(folder_ / "runs/sampling/first/energy.npy"));
  // A network alone starts from noise, and is all that there is to say.
  std::filesystem::copy(net, folder_ / "alone.safetensors");
  ASSERT_EQ(in_folder("alone.safetensors --set sample.steps=3 --set sample.epsilon=0.1").status, 0);
  const SampleConfig alone = load_sample_config(folder_ / "runs/sampling/alone/config.yaml");
  EXPECT_EQ(alone.start, SamplingStart::uniform);
  EXPECT_EQ(alone.sample.epsilon, 0.1);
  EXPECT_EQ(alone.sample.train_epsilon, 0.125);
  // A configuration need not say it either, and may name the run.
  write_bytes(folder_ / "short.yaml",
              "name: short\nstart: data\nsample: {checkpoint: tries/first, steps: 40}\n");
  ASSERT_EQ(in_folder("short.yaml").status, 0);
  EXPECT_EQ(read_bytes(folder_ / "runs/sampling/short/energy.npy"),
            read_bytes(folder_ / "said/energy.npy"));
  // A folder given for the results names the run, but for a name that is asked for.
  ASSERT_EQ(in_folder("short.yaml --out \"results/it's 1: a\"").status, 0);
  EXPECT_EQ(load_sample_config(folder_ / "results/it's 1: a/config.yaml").name, "it's 1: a");
  ASSERT_EQ(in_folder("short.yaml --out results/b/ --set name=mine").status, 0);
  EXPECT_EQ(load_sample_config(folder_ / "results/b/config.yaml").name, "mine");

  const std::string first = path("tries/first");
  struct Case {
    std::string arguments;
    int status;
    std::vector<std::string> says;
  };
  for (const Case& c : std::vector<Case>{
           {first + " --set sample.train_epsilon=0.2", 2, {"0.2", net, "0.125"}},
           {first + " --set network.kind=vanilla", 2, {"network vanilla", net, "toy"}},
           {first + " --set data.kind=rings --set sample.stepz=3", 2, {"sample.stepz"}},
           {path("said"), 3, {path("said"), "no network"}},
           {path("none"), 2, {"none"}},
           {path("none.safetensors"), 3, {"none.safetensors", "no such run or network"}},
           {path("said.yaml") + " --set sample.checkpoint=" + path("none"), 3, {"none"}},
           {path("said/states_last.npy"), 2, {"states_last.npy"}}}) {
    const Outcome wrong = in_folder(c.arguments + " --out " + path("wrong"));
    EXPECT_EQ(wrong.status, c.status) << c.arguments << wrong.output;
    EXPECT_TRUE(mentions(wrong.output, c.says)) << wrong.output;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "wrong")) << c.arguments;
  }
}

TEST_F(SampleProgram, ANetworkThatDoesNotSayWhatItIsIsAskedFor) {
  TensorFile file = read_safetensors(folder_ / "vanilla.safetensors");
  file.metadata.clear();
  write_safetensors(folder_ / "foreign.safetensors", file);
  const std::string program = program_path("ebm_sample") + " " + path("foreign.safetensors") +
                              " --out " + path("foreign") + " --set sample.steps=2";
  const Outcome asked = shell(program);
  EXPECT_EQ(asked.status, 2);
  EXPECT_TRUE(mentions(asked.output, {"foreign.safetensors", "--set network.kind=NAME"}));
  EXPECT_EQ(asked.output.find("--network"), std::string::npos) << "which is not its option";
  const Outcome run = shell(program +
                            " --set network.kind=vanilla --set network.channels=1 --set "
                            "network.features=4 --set sample.train_epsilon=0.01 --set "
                            "sample.epsilon=0.01");
  EXPECT_EQ(run.status, 0) << run.output;
}

TEST_F(SampleProgram, StartsFromGivenStates) {
  ASSERT_EQ(sample("toy.yaml", "a").status, 0);
  const NpyArray last = array("a/states_last.npy");
  const std::string given = "--set start=states --set states=" + path("a/states_last.npy") + " ";
  const Outcome run = sample("toy.yaml", "b", given + "--set sample.chains=20");
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_TRUE(mentions(run.output, {"first 20 of the 30 states", "a/states_last.npy"}));
  EXPECT_TRUE(
      std::ranges::equal(array("b/states_first.npy").values, std::span(last.values).first(40)));
  std::vector<float> images(2 * 1024);
  for (std::size_t i = 0; i < images.size(); ++i) {
    images[i] = std::sin(static_cast<float>(i));
  }
  write_npy(folder_ / "images.npy", Shape3{2, 1, 32, 32}, images);
  const std::string start = "--set start=states --set states=" + path("images.npy") + " ";
  ASSERT_EQ(sample("images.yaml", "c", start + "--set sample.chains=2").status, 0);
  EXPECT_EQ(array("c/states_first.npy").values, images);

  const Outcome few = sample("images.yaml", "few", start);
  EXPECT_EQ(few.status, 2);
  EXPECT_TRUE(mentions(few.output, {"sample.chains: 5", "2 states", "images.npy"}));
  const Outcome other = sample("toy.yaml", "other", start);
  EXPECT_EQ(other.status, 3) << other.output;
  EXPECT_TRUE(mentions(other.output, {"images.npy"}));
  images[1030] = NAN;
  write_npy(folder_ / "images.npy", Shape3{2, 1, 32, 32}, images);
  const Outcome infinite = sample("images.yaml", "nan", start + "--set sample.chains=2");
  EXPECT_EQ(infinite.status, 3) << infinite.output;
  EXPECT_TRUE(mentions(infinite.output, {"images.npy", "state 1", "nan"}));
  const Outcome missing = sample("toy.yaml", "missing", "--set start=states");
  EXPECT_EQ(missing.status, 2);
  EXPECT_TRUE(mentions(missing.output, {"states", "missing"}));
  const Outcome needless = sample("toy.yaml", "needless", "--set states=x.npy");
  EXPECT_EQ(needless.status, 2);
  EXPECT_TRUE(mentions(needless.output, {"states", "start: states"}));
}

TEST_F(SampleProgram, HelpIsAnAnswer) {
  const Outcome help = shell(program_path("ebm_sample") + " --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_TRUE(mentions(help.output, {"RUN|NET.safetensors|CONFIG.yaml", "--out", "--resume",
                                     "--set", "--threads", "--version"}));
}

TEST_F(SampleProgram, TellsWhatIsWrong) {
  struct Case {
    std::string config;
    std::string more;
    int status;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {"none.yaml", "", 2, {"none.yaml"}},
      {"toy.yaml", "--set sample.step=3", 2, {"sample.step", "steps"}},
      {"toy.yaml", "--set sample.mala=yes", 2, {"sample.mala", "true or false"}},
      {"toy.yaml", "--set sample.clamp=[1]", 2, {"sample.clamp", "trained, null", "[low, high]"}},
      {"toy.yaml", "--set sample.clamp=train", 2, {"sample.clamp", "trained, null"}},
      {"toy.yaml", "--set sample.mala=true --set sample.epsilon=0", 2, {"sample.epsilon", "mala"}},
      {"toy.yaml", "--set start=data", 2, {"data.kind", "missing"}},
      {"toy.yaml", "--set data.kind=gmm", 2, {"data", "start: data"}},
      {"images.yaml", "--set network.channels=2", 2, {"network.channels"}},
      {"images.yaml", "--set network.channels=3", 2, {"channels 3", "vanilla.safetensors", "1"}},
      {"images.yaml", "--set network.features=8", 2, {"features 8", "4"}},
      {"images.yaml", "--set network.kind=nonlocal", 2, {"network nonlocal", "vanilla"}},
      {"toy.yaml", "--set sample.train_epsilon=0.1", 2, {"train_epsilon", "0.1", "0.125"}},
      {"toy.yaml", "--device cuda", 2, {"cuda", "--device cpu"}},
      {"toy.yaml", "--set sample.checkpoint=" + path("no.safetensors"), 3, {"no.safetensors"}},
      {"toy.yaml", "--set sample.checkpoint=" + path("toy.yaml"), 3, {"toy.yaml"}},
      {"toy.yaml",
       "--set sample.steps=2000000000 --set sample.chains=1000000",
       1,
       {"energy.npy", "MiB", "--out"}},
  };
  int runs = 0;
  for (const Case& c : cases) {
    const Outcome run = sample(c.config, fmt::format("wrong{}", runs++), c.more);
    EXPECT_EQ(run.status, c.status) << c.more << "\n" << run.output;
    EXPECT_TRUE(mentions(run.output, c.says)) << c.more;
  }
  EXPECT_EQ(shell(program_path("ebm_sample")).status, 2);
  EXPECT_EQ(sample("toy.yaml", "toy.yaml").status, 2);
}

TEST_F(SampleProgram, DivergenceIsStatus4AndKeepsWhatWasRecorded) {
  const Outcome run =
      sample("toy.yaml", "far", "--set sample.epsilon=1e18 --set sample.steps=2000");
  ASSERT_EQ(run.status, 4) << run.output;
  const NpyArray energy = array("far/energy.npy");
  const std::int64_t steps = energy.shape.front();
  EXPECT_GT(steps, 0);
  EXPECT_LT(steps, 2000);
  EXPECT_TRUE(mentions(run.output, {fmt::format("diverged at step {}:", steps)}));
  EXPECT_TRUE(std::ranges::all_of(energy.values, [](float e) { return std::isfinite(e); }));
  EXPECT_EQ(array("far/gradient.npy").shape, energy.shape);
}

}  // namespace
}  // namespace ebm
