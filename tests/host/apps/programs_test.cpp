// The programs as a user runs them: results, messages and exit statuses.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <sstream>
#include <string>

#include "host/files/npy.h"
#include "host/files/safetensors.h"
#include "tests/support/goldens.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

class Programs : public testing::Test {
 protected:
  std::string train(const std::string& arguments) const {
    return program_path("ebm_train") + " " + arguments;
  }
  std::string score(const std::string& arguments) const {
    return program_path("ebm_score") + " " + arguments;
  }
  std::string plot(const std::string& arguments) const {
    return program_path("ebm_plot") + " " + arguments;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// A toy experiment that takes a moment.
  std::string small_toy() const {
    write_bytes(folder_ / "toy.yaml",
                "name: small\n"
                "data: {kind: gmm}\n"
                "network: {kind: toy}\n"
                "optimizer: {kind: sgd, lr: 0.1}\n"
                "langevin: {epsilon: 0.125, steps: 20, init: persistent, bank_size: 100}\n"
                "train: {iterations: 20, batch_size: 50}\n"
                "log: {every: 10}\n"
                "landscape: {every: 0}\n");
    return path("toy.yaml");
  }
  std::string small_images() const {
    write_small_mnist(folder_ / "digits", 20);
    write_bytes(folder_ / "images.yaml",
                "name: images\n"
                "data: {kind: mnist, path: " +
                    path("digits") +
                    "}\n"
                    "network: {kind: vanilla, features: 2}\n"
                    "optimizer: {kind: adam, lr: 0.0001}\n"
                    "langevin: {epsilon: 0.01, steps: 2, init: uniform}\n"
                    "train: {iterations: 2, batch_size: 4}\n");
    return path("images.yaml");
  }

  TemporaryFolder folder_;
};

TEST_F(Programs, SpinShortlyUnlessTheEnvironmentSaysOtherwise) {
  const std::string clear = "env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT OMP_DISPLAY_ENV=verbose ";
  const auto spins = [&](const std::string& environment) {
    const std::string said = shell(clear + environment + train("--version")).output;
    const std::string key = "GOMP_SPINCOUNT = '";
    const std::size_t last = said.rfind(key);  // it may have started itself anew
    return last == std::string::npos ? 0 : std::stoll(said.substr(last + key.size()));
  };
  if (spins("") == 0) {
    GTEST_SKIP() << "OpenMP's runtime is not GCC's";
  }
  EXPECT_EQ(spins(""), 10'000);
  EXPECT_EQ(spins("OMP_WAIT_POLICY=passive "), 0);
  EXPECT_EQ(spins("GOMP_SPINCOUNT=77 "), 77);
}

TEST_F(Programs, UseTheProcessorsTheyMayRunOn) {
  const auto threads = [&](const std::string& how, const std::string& out) {
    const Outcome run =
        shell("env -u OMP_NUM_THREADS " + how + train(small_toy() + " --out " + path(out)));
    EXPECT_EQ(run.status, 0) << run.output;
    return run.output.substr(0, run.output.find(" threads")).back();
  };
  EXPECT_EQ(threads("taskset -c $(taskset -cp $$ | sed 's/.*: //; s/[-,].*//') ", "one"), '1');
  EXPECT_EQ(threads("OMP_NUM_THREADS=3 ", "three"), '3');
}

TEST_F(Programs, TrainingLeavesACompleteRunFolder) {
  const Outcome run = shell(train(small_toy() + " --threads 1 --out " + path("run")));
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_TRUE(mentions(run.output, {"iteration 10/20", "iteration 20/20", "d_s", "r_s", "lr 0.1",
                                    "steps/s", path("run")}));
  for (const char* file : {"config.yaml", "environment.json", "log.txt", "diagnostics.csv",
                           "checkpoints/net_000020.safetensors"}) {
    EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / "run" / file)) << file;
  }
  EXPECT_EQ(read_csv(folder_ / "run/diagnostics.csv", 4).size(), 20U);
  EXPECT_TRUE(mentions(read_bytes(folder_ / "run/environment.json"),
                       {"git_revision", "oneDNN", "\"threads\": 1", "--threads", "toy.yaml"}));
  // config.yaml repeats the run.
  const Outcome again =
      shell(train(path("run/config.yaml") + " --quiet --threads 2 --out " + path("again")));
  EXPECT_EQ(again.status, 0);
  EXPECT_EQ(again.output, "");
  EXPECT_EQ(differing_files(folder_ / "again", folder_ / "run"), "");
}

TEST_F(Programs, ACheckStartsNothing) {
  const Outcome toy = shell(train(small_toy() + " --check --threads 1 --out " + path("run")));
  EXPECT_EQ(toy.status, 0) << toy.output;
  EXPECT_TRUE(
      mentions(toy.output, {"small on the CPU, 1 threads, nothing is started", "memory: about ",
                            "time: about 0:0", "for 20 iterations of ", "measured just now: "}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  const Outcome images = shell(train(small_images() + " --check --out " + path("run")));
  EXPECT_EQ(images.status, 0) << images.output;
  EXPECT_TRUE(mentions(images.output, {"20 images of 1x32x32", "memory: about ", "time: about "}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));

  // What a run would be refused for.
  EXPECT_EQ(shell(train(small_toy() + " --check --set train.iterations=0")).status, 2);
  const Outcome used = shell(train(small_toy() + " --check --out " + folder_.path().string()));
  EXPECT_EQ(used.status, 2);
  EXPECT_TRUE(mentions(used.output, {"is not empty"}));
  const Outcome batch = shell(train(small_images() + " --check --set train.batch_size=21"));
  EXPECT_EQ(batch.status, 2);
  EXPECT_TRUE(mentions(batch.output, {"train.batch_size", "21", "20 images"}));
  const Outcome missing = shell(train(small_images() + " --check --set data.path=" + path("none")));
  EXPECT_EQ(missing.status, 3);
  EXPECT_TRUE(mentions(missing.output, {path("none")}));
  EXPECT_EQ(shell(train("--check --resume " + path("run"))).status, 2);
}

TEST_F(Programs, PlotRedrawsARunFromItsFiles) {
  if (shell("gnuplot --version").status != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  ASSERT_EQ(
      shell(train(small_toy() + " --quiet --set landscape.every=20 --out " + path("run"))).status,
      0);
  const std::vector<std::string> pictures{"diagnosis.png",
                                          "diagnosis.pdf",
                                          "landscape/landscape_000001.png",
                                          "landscape/landscape_000020.png",
                                          "landscape/landscape_000020.pdf",
                                          "report.html"};
  for (const std::string& picture : pictures) {
    EXPECT_EQ(std::filesystem::remove(folder_ / "run" / picture), picture != "report.html")
        << picture;
  }
  std::filesystem::remove(folder_ / "run/diagnosis.gp");
  const std::string table = read_bytes(folder_ / "run/correlations.csv");
  std::filesystem::remove(folder_ / "run/correlations.csv");
  const Outcome all = shell(plot(path("run")));
  EXPECT_EQ(all.status, 0) << all.output;
  for (const std::string& picture : pictures) {
    EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / "run" / picture)) << picture;
    EXPECT_TRUE(mentions(all.output, {path("run/" + picture)}));
  }
  EXPECT_EQ(read_bytes(folder_ / "run/correlations.csv"), table);
  EXPECT_TRUE(mentions(read_bytes(folder_ / "run/report.html"),
                       {"</html>", "After 20 iterations", "<figcaption>Iteration 20: KL"}));

  const std::string whole = read_bytes(folder_ / "run/diagnostics.csv");
  write_bytes(folder_ / "run/diagnostics.csv", whole.substr(0, whole.size() - 5));
  const Outcome cut = shell(plot(path("run")));
  EXPECT_EQ(cut.status, 0) << cut.output;
  EXPECT_TRUE(mentions(cut.output, {"warning", "line 21 ", "diagnosis.png"}));
  EXPECT_TRUE(read_bytes(folder_ / "run/correlations.csv").ends_with(",19\n"));

  const Outcome no_gnuplot = shell("PATH=/nowhere " + plot(path("run")));
  EXPECT_EQ(no_gnuplot.status, 1);
  EXPECT_TRUE(mentions(no_gnuplot.output, {"Is gnuplot installed?"}));
  write_bytes(folder_ / "run/diagnosis.gp", "plot nothing at all\n");
  const Outcome failed = shell(plot(path("run")));
  EXPECT_EQ(failed.status, 1);
  EXPECT_TRUE(mentions(failed.output, {"gnuplot failed", "diagnosis.gp"}));

  write_bytes(folder_ / "run/diagnostics.csv", whole + "21,x,1,1\n");
  const Outcome malformed = shell(plot(path("run")));
  EXPECT_EQ(malformed.status, 3);
  EXPECT_TRUE(mentions(malformed.output, {"diagnostics.csv", "line 22", "21,x,1,1"}));
}

TEST_F(Programs, AStyleHoldsForEveryPlotOfARun) {
  if (shell("gnuplot --version").status != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  const std::string training = small_toy() + " --quiet --set landscape.every=20";
  const Outcome missing = shell(train(training + " --style none.gp --out " + path("run")));
  EXPECT_EQ(missing.status, 3);
  EXPECT_TRUE(mentions(missing.output, {"none.gp"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  // A script that reads it can write a file.
  write_bytes(folder_ / "style.gp", "set print 'styled' append; print picture; unset print\n");
  ASSERT_EQ(
      shell(train(training + " --style " + path("style.gp") + " --out " + path("run"))).status, 0);
  EXPECT_EQ(read_bytes(folder_ / "run/plots.gp"), read_bytes(folder_ / "style.gp"));
  EXPECT_TRUE(mentions(read_bytes(folder_ / "run/styled"), {"diagnosis.part.png"}));
  EXPECT_TRUE(
      mentions(read_bytes(folder_ / "run/landscape/styled"),
               {"landscape_000001.part.png", "landscape_000020.part.pdf", "landscape.part.png"}));
  write_bytes(folder_ / "other.gp", "set print 'other' append; print picture; unset print\n");
  ASSERT_EQ(shell(plot(path("run") + " --style " + path("other.gp"))).status, 0);
  EXPECT_EQ(read_bytes(folder_ / "run/other"), "diagnosis.part.png\ndiagnosis.part.pdf\n");
  EXPECT_EQ(read_bytes(folder_ / "run/plots.gp"), read_bytes(folder_ / "other.gp"));
  std::filesystem::remove(folder_ / "run/plots.gp");  // which then sets nothing
  EXPECT_EQ(shell(plot(path("run"))).status, 0);
  EXPECT_TRUE(mentions(read_bytes(folder_ / "run/plots.gp"), {"# The style of all plots"}));
}

TEST_F(Programs, PlotRefusesWhatIsNotARun) {
  EXPECT_EQ(shell(plot("")).status, 2);
  const Outcome folder = shell(plot(folder_.path().string()));
  EXPECT_EQ(folder.status, 3);
  EXPECT_TRUE(mentions(folder.output, {"is not the folder of a training run"}));
  EXPECT_EQ(shell(plot(path("none"))).status, 3);
}

TEST_F(Programs, AMissingGnuplotIsAWarningInATrainingRun) {
  const Outcome run = shell("PATH=/nowhere " + train(small_toy() + " --out " + path("run")));
  EXPECT_EQ(run.status, 0);
  EXPECT_TRUE(mentions(run.output, {"warning: cannot start gnuplot", "done"}));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/diagnosis.gp"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/diagnosis.png"));
}

TEST_F(Programs, TheDefaultFolderIsNamedAfterTheRun) {
  const Outcome run = shell("cd " + folder_.path().string() + " && " + train(small_toy()));
  EXPECT_EQ(run.status, 0) << run.output;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "runs/small/diagnostics.csv"));
}

TEST_F(Programs, ANewRunStartsFromAnother) {
  const std::string toy = small_toy() + " --set langevin.init=persistent ";
  ASSERT_EQ(
      shell(train(toy + "--set checkpoint.every=1 --set checkpoint.keep=100 --out " + path("a")))
          .status,
      0);
  const std::string from = path("a/checkpoints/net_000001.safetensors");
  const Outcome branch = shell(train(path("a/config.yaml") + " --from " + from +
                                     " --with-bank --set seed=9 --out " + path("b")));
  ASSERT_EQ(branch.status, 0) << branch.output;
  EXPECT_TRUE(mentions(branch.output, {"starting from " + from, "iteration 1", "with its bank"}));
  EXPECT_TRUE(mentions(read_bytes(folder_ / "b/origin.json"),
                       {"\"network\": \"" + from, "\"run\": \"" + path("a"), "\"iteration\": 1",
                        "\"with_bank\": true"}));
  const std::string more = path("a/config.yaml") + " --from " + path("a") + " ";
  const std::string out = "--out " + path("c") + " ";
  const Outcome bank = shell(train(more + out + "--with-bank --set langevin.bank_size=9999"));
  EXPECT_EQ(bank.status, 2);
  EXPECT_TRUE(mentions(bank.output, {"--with-bank", "100 states", "langevin.bank_size is 9999"}));
  EXPECT_EQ(shell(train(more + out)).status, 0) << "the same folder";
  const Outcome both = shell(train("--resume " + path("a") + " --from " + path("b")));
  EXPECT_EQ(both.status, 2);
  EXPECT_TRUE(mentions(both.output, {"--from", "excludes", "--resume"}));
  const Outcome alone = shell(train(toy + "--with-bank"));
  EXPECT_EQ(alone.status, 2);
  EXPECT_TRUE(mentions(alone.output, {"--with-bank", "--from"}));
  const Outcome none = shell(train(toy + "--from " + path("none")));
  EXPECT_EQ(none.status, 3);
  EXPECT_TRUE(mentions(none.output, {path("none"), "no such run or network"}));
  std::filesystem::remove(folder_ / "b/checkpoints/latest");
  for (const auto& file : std::filesystem::directory_iterator(folder_ / "b/checkpoints")) {
    std::filesystem::remove(file.path());
  }
  const Outcome lost = shell(train("--resume " + path("b")));
  EXPECT_EQ(lost.status, 3) << "not from other weights without a word";
  EXPECT_TRUE(mentions(lost.output, {path("b"), "environment.json"}));
}

TEST_F(Programs, HelpAndVersionAreAnswers) {
  for (const std::string program :
       {"ebm_train", "ebm_sample", "ebm_evaluate", "ebm_plot", "ebm_score"}) {
    const std::string command = program_path(program);
    const Outcome help = shell(command + " --help");
    EXPECT_EQ(help.status, 0);
    EXPECT_TRUE(mentions(help.output, {"\n  " + program + " ", "--help", "--version"}))
        << "an example, and options";
    std::istringstream lines(help.output);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      EXPECT_LE(line.size(), 100U) << line;
    }
    EXPECT_LE(count, 32) << "one screen";
    const Outcome version = shell(command + " --version");
    EXPECT_EQ(version.status, 0);
    EXPECT_TRUE(mentions(version.output, {"ebm 0."}));
  }
}

TEST_F(Programs, CommandLineErrorsAreStatus2) {
  const std::string toy = small_toy();

  struct Case {
    std::string arguments;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {"", {"CONFIG.yaml or --resume DIR"}},
      {toy + " --treads 2", {"--treads"}},
      {toy + " --threads 0", {"--threads"}},
      {path("none.yaml"), {"none.yaml"}},
      {toy + " --set langevin.stepz=3", {"langevin.stepz", "steps"}},
      {toy + " --set langevin.steps=many", {"langevin.steps", "many"}},
      {toy + " --set steps", {"steps", "="}},
      {toy + " --device gpu", {"device", "gpu"}},
      {toy + " --device cuda --out " + path("x"), {"cuda", "--device cpu"}},
      {toy + " --out " + path("toy.yaml"), {"toy.yaml", "is a file"}},
      {toy + " --out " + folder_.path().string(), {"not empty", "--out"}},
      {small_images() + " --set train.batch_size=21 --out " + path("y"),
       {"train.batch_size", "20 images"}},
  };
  for (const Case& c : cases) {
    const Outcome run = shell(train(c.arguments));
    EXPECT_EQ(run.status, 2) << c.arguments << "\n" << run.output;
    EXPECT_TRUE(mentions(run.output, c.says)) << c.arguments;
  }
}

TEST_F(Programs, WrongInputFilesAreStatus3) {
  const std::string images = small_images();
  std::filesystem::create_directory(folder_ / "empty");
  const Outcome missing =
      shell(train(images + " --set data.path=" + path("empty") + " --out " + path("a")));
  EXPECT_EQ(missing.status, 3);
  EXPECT_TRUE(mentions(missing.output, {"train-images-idx3-ubyte", path("empty")}));
  // Once the data are there the same command works.
  EXPECT_EQ(shell(train(images + " --quiet --out " + path("a"))).status, 0);
  write_bytes(folder_ / "digits/train-images-idx3-ubyte", idx_bytes({20, 28, 28}, "short"));
  const Outcome truncated = shell(train(images + " --out " + path("b")));
  EXPECT_EQ(truncated.status, 3);
  EXPECT_TRUE(mentions(truncated.output, {"digits/train-images-idx3-ubyte"}));
}

TEST_F(Programs, DivergenceIsStatus4) {
  const Outcome run =
      shell(train(small_toy() + " --set optimizer.lr=1e30 --out " + path("diverged")));
  EXPECT_EQ(run.status, 4);
  EXPECT_TRUE(mentions(run.output, {"diverged at iteration 1"}));
  EXPECT_TRUE(mentions(read_bytes(folder_ / "diverged/log.txt"), {"diverged at iteration 1"}));
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EBM_THREAD_SANITIZER
#endif
#endif

TEST_F(Programs, AFullDiskIsStatus1AndLeavesNothingHalfWritten) {
#ifdef EBM_THREAD_SANITIZER
  GTEST_SKIP() << "ThreadSanitizer's own memory is a file, which may then not grow either";
#endif
  // Files of the run cannot grow beyond 32 blocks, some KiB: the checkpoint does not fit.
  const Outcome run = shell("ulimit -f 32; " + train(small_toy() + " --out " + path("full")));
  EXPECT_EQ(run.status, 1) << run.output;
  EXPECT_TRUE(mentions(run.output, {"net_000020.safetensors"}));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "full/checkpoints"));
  EXPECT_EQ(read_csv(folder_ / "full/diagnostics.csv", 4).size(), 20U);
}

TEST_F(Programs, ARealFullDiskLeavesTheDiagnosticsWhole) {
  if (geteuid() != 0 ||
      shell("mkdir " + path("disk") + " && mount -t tmpfs -o size=96k tmpfs " + path("disk"))
              .status != 0) {
    GTEST_SKIP() << "needs root and the right to mount a small tmpfs";
  }
  const struct Unmount {
    std::string disk;
    ~Unmount() { shell("umount " + disk); }
  } unmount{path("disk")};
  const Outcome run = shell(train(
      small_toy() + " --set checkpoint.every=5 --set checkpoint.keep=9 --out " + path("disk/run")));
  std::vector<std::string> checkpoints;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "disk/run/checkpoints")) {
    checkpoints.push_back(entry.path().filename().string());
    EXPECT_NO_THROW(read_safetensors(entry.path())) << entry.path();
  }
  EXPECT_EQ(run.status, 1) << run.output;
  EXPECT_TRUE(mentions(run.output, {"No space left on device"}));
  // A network is 42 kB: two fit at most, and what is there under a final name is whole.
  EXPECT_GE(checkpoints.size(), 1U);
  EXPECT_LT(checkpoints.size(), 4U);
}

TEST_F(Programs, ScoreMeetsTheGoldens) {
  const TensorFile golden = golden_file("toy");
  const Network network = published_network("toy", 2, 32);
  const std::string prefix = golden.metadata.at("tag") + "/toy";
  const std::vector<float> theta = golden_parameters(network, prefix);
  TensorFile weights;  // as PyTorch writes it: no metadata
  for (const ParameterTensor& tensor : network.parameters()) {
    const auto first = theta.begin() + tensor.offset;
    weights.tensors.push_back({tensor.name, tensor.shape, {first, first + tensor.size}});
  }
  write_safetensors(folder_ / "net.safetensors", weights);
  const std::vector<std::int64_t> shape{18, 2, 1, 1};
  write_npy(folder_ / "x.npy", shape, std::span<const float>(hashed_floats(prefix + "/x", 36)));

  const Outcome run = shell(score("--checkpoint " + path("net.safetensors") + " --input " +
                                  path("x.npy") + " --energy " + path("e.npy") + " --gradient " +
                                  path("g.npy") + " --network toy --channels 2"));
  ASSERT_EQ(run.status, 0) << run.output;
  const NpyArray energy = read_npy(folder_ / "e.npy");
  const NpyArray gradient = read_npy(folder_ / "g.npy");
  EXPECT_EQ(energy.shape, std::vector<std::int64_t>{18});
  EXPECT_EQ(gradient.shape, shape);
  EXPECT_LT(relative_error(energy.values, golden.at("energy").values), 1e-5);
  EXPECT_LT(relative_error(gradient.values, golden.at("grad_x").values), 1e-5);

  const Outcome unnamed = shell(score("--checkpoint " + path("net.safetensors") + " --input " +
                                      path("x.npy") + " --energy " + path("e.npy")));
  EXPECT_EQ(unnamed.status, 2);
  EXPECT_TRUE(mentions(unnamed.output, {"--network"}));
  const Outcome other =
      shell(score("--checkpoint " + path("net.safetensors") + " --input " + path("x.npy") +
                  " --energy " + path("e.npy") + " --network vanilla --channels 1"));
  EXPECT_EQ(other.status, 3);
  EXPECT_TRUE(mentions(other.output, {"net.safetensors", "'f.0.weight'"}));
}

TEST_F(Programs, ScoreRefusesStatesOfAnotherShape) {
  ASSERT_EQ(shell(train(small_toy() + " --quiet --out " + path("run"))).status, 0);
  const std::string checkpoint = path("run/checkpoints/net_000020.safetensors");
  const std::vector<float> values(12);
  const auto run = [&](const std::vector<std::int64_t>& shape) {
    write_npy(folder_ / "x.npy", shape, std::span<const float>(values));
    return shell(score("--checkpoint " + checkpoint + " --input " + path("x.npy") + " --energy " +
                       path("e.npy")));
  };
  const Outcome flat = run({6, 2});
  EXPECT_EQ(flat.status, 0) << flat.output;
  const Outcome wrong = run({4, 3});
  EXPECT_EQ(wrong.status, 3);
  EXPECT_TRUE(mentions(wrong.output, {"x.npy", "(4, 3)", "(N, 2, 1, 1)"}));
  EXPECT_EQ(shell(score("--checkpoint " + checkpoint + " --input " + checkpoint + " --energy " +
                        path("e.npy")))
                .status,
            3);
  const std::string from = "--checkpoint " + checkpoint + " --input " + path("x.npy");
  for (const std::string& over :
       {" --energy " + path("x.npy"), " --energy " + checkpoint, " --energy " + path("none/e.npy"),
        " --energy " + path("o.npy") + " --gradient " + path("o.npy")}) {
    EXPECT_EQ(shell(score(from + over)).status, 2) << over;
  }
  const Outcome nowhere = shell(
      score("--checkpoint " + checkpoint + " --input " + path("x.npy") + " --energy /dev/full"));
  EXPECT_NE(nowhere.status, 0);
}

}  // namespace
}  // namespace ebm
