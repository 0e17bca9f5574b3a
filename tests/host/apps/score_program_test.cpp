// ebm_score as a user runs it: every kind of input, its tables, messages and exit statuses.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "host/data/mnist.h"
#include "host/data/prepare_images.h"
#include "host/files/npy.h"
#include "host/files/safetensors.h"
#include "host/scoring/auroc.h"
#include "tests/support/cifar10_files.h"
#include "tests/support/custom_networks.h"
#include "tests/support/picture_files.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

constexpr double kEpsilon = 0.01;

/// A line of a table of scores.
struct Line {
  std::string set;
  int state = 0;
  float f = 0;
  float potential = 0;
  float gradient_norm = 0;
};

class ScoreProgram : public testing::Test {
 protected:
  ScoreProgram() {
    const Network network = published_network("vanilla", 1, 4);
    save_checkpoint(folder_ / "net.safetensors",
                    {.network = "vanilla", .channels = 1, .features = 4, .epsilon = kEpsilon},
                    network, initial_parameters(network, 3).span());
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Outcome score(const std::string& arguments) const {
    return shell("cd " + folder_.path().string() + " && " + program_path("ebm_score") + " " +
                 arguments);
  }
  /// What f of these is, by the arrays that ebm_score has always written.
  std::vector<float> f_of(const std::vector<float>& states) const {
    write_npy(folder_ / "states.npy",
              std::vector<std::int64_t>{std::ssize(states) / 1024, 1, 32, 32},
              std::span<const float>(states));
    EXPECT_EQ(score("--checkpoint net.safetensors --input states.npy --energy f.npy").status, 0);
    return read_npy(folder_ / "f.npy").values;
  }
  /// f of an input, by the short way.
  std::vector<float> f_of(const std::string& input) const {
    const Outcome run = score("net.safetensors " + input + " --energy e.npy");
    EXPECT_EQ(run.status, 0) << run.output;
    return run.status == 0 ? read_npy(folder_ / "e.npy").values : std::vector<float>();
  }
  std::vector<Line> table(const std::string& name) const {
    std::istringstream text(read_bytes(folder_ / name));
    std::string words;
    std::getline(text, words);
    EXPECT_EQ(words, "set,state,f,U,gradient_norm");
    std::vector<Line> lines;
    while (std::getline(text, words)) {
      std::ranges::replace(words, ',', ' ');
      std::istringstream line(words);
      lines.emplace_back();
      line >> lines.back().set >> lines.back().state >> lines.back().f >> lines.back().potential >>
          lines.back().gradient_norm;
      EXPECT_TRUE(line && line.peek() == EOF) << words;
    }
    return lines;
  }
  std::vector<float> prepared(const std::vector<Picture>& pictures) const {
    return prepare_images(
               pictures.size(), [&](std::size_t i) { return pictures[i]; }, 32, 1)
        .images;
  }

  const TemporaryFolder folder_;
};

TEST_F(ScoreProgram, ReadsEveryKindOfDataInItsOrder) {
  const std::vector<Picture> pictures{smooth_picture(40, 32, 3, 1), smooth_picture(32, 50, 1, 2),
                                      smooth_picture(32, 32, 3, 3)};
  fs::create_directories(folder_ / "photographs/b");
  write_bytes(folder_ / "photographs/a.png", png_bytes(pictures[0]));
  write_bytes(folder_ / "photographs/b/a.png", png_bytes(pictures[1]));
  write_bytes(folder_ / "photographs/c.png", png_bytes(pictures[2]));
  const std::vector<float> right = f_of(prepared(pictures));
  ASSERT_EQ(right.size(), 3U);
  EXPECT_NE(right[0], right[1]);
  EXPECT_EQ(f_of("photographs"), right);
  EXPECT_EQ(f_of("photographs/c.png"), std::vector<float>{right[2]});
  write_bytes(folder_ / "data.yaml",
              "data: {kind: folder, path: photographs}\noptimizer: {lr: what else it says}\n");
  EXPECT_EQ(f_of("data.yaml"), right);

  write_bytes(folder_ / "photographs/b/broken.png", "no picture");
  write_bytes(folder_ / "photographs/d.webp", "another format");
  EXPECT_EQ(score("net.safetensors photographs").status, 3);
  write_bytes(folder_ / "data.yaml", "data: {kind: folder, path: photographs, unreadable: skip}\n");
  const Outcome skipped = score("net.safetensors data.yaml");
  EXPECT_TRUE(mentions(skipped.output, {"1 of 4 pictures", ".webp", "data.yaml: 3 states"}));
  EXPECT_EQ(f_of("data.yaml"), right);

  const std::vector<Picture> square{smooth_picture(32, 32, 3, 7), smooth_picture(32, 32, 3, 8)};
  const std::vector<float> of_square = f_of(prepared(square));
  const std::string records = cifar10_record(0, square[0]) + cifar10_record(1, square[1]);
  write_bytes(folder_ / "test_batch.bin", records);
  write_bytes(folder_ / "test_batch",
              cifar10_pickle(records.substr(1, 3072) + records.substr(3074)));
  EXPECT_EQ(f_of("test_batch.bin"), of_square);
  EXPECT_EQ(f_of("test_batch"), of_square);

  write_small_mnist(folder_ / "MNIST/raw", 5);
  const std::vector<float> of_digits = f_of(load_mnist(folder_.path(), 32, 1).images);
  EXPECT_EQ(f_of("MNIST/raw/train-images-idx3-ubyte"), of_digits);
  write_gzip(folder_ / "t10k.gz", read_bytes(folder_ / "MNIST/raw/train-images-idx3-ubyte"));
  EXPECT_EQ(f_of("t10k.gz"), of_digits);
  write_bytes(folder_ / "levels.npy",
              npy_header("|u1", std::array<std::int64_t, 3>{5, 28, 28}) +
                  read_bytes(folder_ / "MNIST/raw/train-images-idx3-ubyte").substr(16));
  EXPECT_EQ(f_of("levels.npy"), of_digits);
  write_bytes(folder_ / "mnist.yaml", "data: {kind: mnist, path: .}\n");
  EXPECT_EQ(f_of("mnist.yaml"), of_digits);
}

TEST_F(ScoreProgram, WritesTablesAndTellsSetsApart) {
  write_small_mnist(folder_ / "digits", 6);
  write_small_mnist(folder_ / "others", 9);
  const std::string digits = "digits/train-images-idx3-ubyte";
  const Outcome run = score("net.safetensors " + digits +
                            " --against others/train-images-idx3-ubyte --noise 0.2 "
                            "--draws 3 --seed 9 --scores s.csv --threads 2");
  ASSERT_EQ(run.status, 0) << run.output;
  const std::vector<Line> lines = table("s.csv");
  ASSERT_EQ(lines.size(), 15U);
  std::vector<std::vector<float>> f(2);
  std::vector<std::vector<float>> norms(2);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t set = i < 6 ? 0 : 1;
    EXPECT_EQ(lines[i].set, set == 0 ? "input" : "against");
    EXPECT_EQ(lines[i].state, static_cast<int>(set == 0 ? i : i - 6));
    EXPECT_EQ(lines[i].potential, static_cast<float>(lines[i].f / (kEpsilon * kEpsilon / 2)));
    EXPECT_GT(lines[i].gradient_norm, 0);
    f[set].push_back(lines[i].f);
    norms[set].push_back(lines[i].gradient_norm);
  }
  EXPECT_TRUE(std::equal(f[0].begin(), f[0].end(), f[1].begin()))
      << "the first six are the same pictures, and a state's noise is of its number";
  EXPECT_TRUE(mentions(run.output,
                       {"vanilla (iteration 0) of net.safetensors", digits + ": 6 states: mean f ",
                        "others/train-images-idx3-ubyte: 9 states", "U ", "‖∇f‖",
                        fmt::format("larger: f {:.6f}, ‖∇f‖ {:.6f}", auroc(f[0], f[1]),
                                    auroc(norms[0], norms[1]))}));
  ASSERT_EQ(score("net.safetensors " + digits +
                  " --noise 0.2 --draws 3 --seed 9 --scores one.csv --energy e.npy --threads 1")
                .status,
            0);
  const std::string whole = read_bytes(folder_ / "s.csv");
  EXPECT_EQ(whole.find(read_bytes(folder_ / "one.csv")), 0U) << "the same bits on one thread";
  EXPECT_EQ(read_npy(folder_ / "e.npy").values, f[0]);
  ASSERT_EQ(score("net.safetensors " + digits + " --scores plain.csv").status, 0);
  EXPECT_NE(table("plain.csv").front().f, f[0].front());
  EXPECT_EQ(table("plain.csv").front().f, f_of(digits).front());
}

TEST_F(ScoreProgram, ARunSaysWhatItWasTrainedOn) {
  write_small_mnist(folder_ / "digits", 20);
  write_bytes(folder_ / "images.yaml",
              "name: images\n"
              "data: {kind: mnist, path: digits}\n"
              "network: {kind: vanilla, features: 2}\n"
              "optimizer: {kind: adam, lr: 0.0001}\n"
              "langevin: {epsilon: 0.02, steps: 2, init: uniform}\n"
              "train: {iterations: 2, batch_size: 4}\n"
              "checkpoint: {every: 1}\n");
  const Outcome trained = shell("cd " + folder_.path().string() + " && " +
                                program_path("ebm_train") + " images.yaml --quiet --out run");
  ASSERT_EQ(trained.status, 0) << trained.output;
  const Outcome own = score("run --scores own.csv");
  ASSERT_EQ(own.status, 0) << own.output;
  EXPECT_TRUE(
      mentions(own.output, {"(iteration 2)", "net_000002.safetensors", "digits: 20 states"}));
  ASSERT_EQ(score("run digits/train-images-idx3-ubyte --scores same.csv").status, 0);
  EXPECT_EQ(read_bytes(folder_ / "own.csv"), read_bytes(folder_ / "same.csv"));
  EXPECT_EQ(table("own.csv").front().potential,
            static_cast<float>(table("own.csv").front().f / (0.02 * 0.02 / 2)));
  const Outcome earlier = score("run/checkpoints/net_000001.safetensors");
  EXPECT_TRUE(mentions(earlier.output, {"(iteration 1)", "20 states"}));
  EXPECT_EQ(score("run --epsilon 0.02").status, 0);
  const Outcome other = score("run --epsilon 0.01");
  EXPECT_EQ(other.status, 2);
  EXPECT_TRUE(mentions(other.output, {"--epsilon is 0.01", "0.02"}));
  EXPECT_EQ(score("run --channels 3").status, 2);

  const Outcome over = score("run --energy run/checkpoints/net_000002.safetensors");
  EXPECT_EQ(over.status, 2);
  EXPECT_TRUE(mentions(over.output, {"--energy", "read"}));

  fs::rename(folder_ / "digits", folder_ / "moved");
  EXPECT_EQ(score("run").status, 3);
  const Outcome moved = score("run --set data.path=moved --scores moved.csv");
  ASSERT_EQ(moved.status, 0) << moved.output;
  EXPECT_EQ(read_bytes(folder_ / "own.csv"), read_bytes(folder_ / "moved.csv"));

  write_small_mnist(folder_ / "held", 3);
  fs::rename(folder_ / "held/train-images-idx3-ubyte", folder_ / "moved/t10k-images-idx3-ubyte");
  const Outcome held_out =
      score("run --set data.path=moved --set data.split=test --scores held.csv");
  EXPECT_EQ(held_out.status, 0);
  EXPECT_TRUE(mentions(held_out.output, {"moved (test): 3 states"}));
  EXPECT_EQ(score("run moved/t10k-images-idx3-ubyte --scores same.csv").status, 0);
  EXPECT_EQ(read_bytes(folder_ / "held.csv"), read_bytes(folder_ / "same.csv"));

  for (const std::string more : {"run --set langevin.epsilon=1", "run --set data.paht=moved",
                                 "net.safetensors --set data.path=moved"}) {
    const Outcome wrong = score(more);
    EXPECT_EQ(wrong.status, 2) << more;
    EXPECT_TRUE(mentions(wrong.output, {"--set "})) << more;
  }
}

TEST_F(ScoreProgram, WarnsOfStatesFarFromImages) {
  std::vector<float> states(2 * 1024, 0.5F);
  const auto run = [&] {
    write_npy(folder_ / "x.npy", std::vector<std::int64_t>{2, 1, 32, 32},
              std::span<const float>(states));
    const Outcome scored = score("net.safetensors x.npy");
    EXPECT_EQ(scored.status, 0);
    return scored.output;
  };
  states[3] = -2;
  EXPECT_EQ(run().find("warning"), std::string::npos);
  states[1500] = 255;
  EXPECT_TRUE(mentions(run(), {"warning: x.npy: 1 of 2 states", "[-2, 2]", "255", "astype('u1')"}));
}

TEST_F(ScoreProgram, LayersMayBeGiven) {
  const Network network = make_network(
      {.kind = NetworkKind::custom, .channels = 1, .image_size = 16, .layers = layers_of(kImages)});
  const Buffer<float> theta = initial_parameters(network, 5);
  save_checkpoint(folder_ / "ours.safetensors",
                  {.network = "custom", .channels = 1, .epsilon = 0.1}, network, theta.span());
  TensorFile file = read_safetensors(folder_ / "ours.safetensors");
  file.metadata.clear();
  for (Tensor& tensor : file.tensors) {
    tensor.name = "module." + tensor.name;
  }
  write_safetensors(folder_ / "theirs.safetensors", file);
  write_bytes(folder_ / "layers.yaml", "layers: " + kImages + "\nchannels: 1\nimage_size: 16\n");
  write_bytes(folder_ / "a.png", png_bytes(smooth_picture(20, 20, 1, 4)));
  ASSERT_EQ(score("ours.safetensors a.png --scores ours.csv").status, 0);
  const Outcome theirs =
      score("theirs.safetensors a.png --layers layers.yaml --epsilon 0.1 --scores theirs.csv");
  ASSERT_EQ(theirs.status, 0) << theirs.output;
  EXPECT_EQ(read_bytes(folder_ / "ours.csv"), read_bytes(folder_ / "theirs.csv"));
  EXPECT_EQ(score("ours.safetensors a.png --layers layers.yaml").status, 0) << "the same layers";

  const Outcome unknown = score("theirs.safetensors a.png --layers layers.yaml --scores u.csv");
  EXPECT_EQ(unknown.status, 0);
  EXPECT_TRUE(mentions(unknown.output, {"U is left out", "--epsilon"}));
  EXPECT_TRUE(read_bytes(folder_ / "u.csv").starts_with("set,state,f,gradient_norm\n"));

  const Outcome unnamed = score("theirs.safetensors a.png");
  EXPECT_EQ(unnamed.status, 2);
  EXPECT_TRUE(mentions(unnamed.output, {"theirs.safetensors", "--network", "--layers"}));
  for (const auto& [text, says] :
       {std::pair{std::string("layers: [conv: {outputs: 2, kernel: 99}]\nchannels: 1\n"), "kernel"},
        {std::string("layer: []\n"), "has no layers"},
        {std::string("layers: [flatten, linear: {outputs: 1}]\nchannels: 1\nimage_size: 16\n"),
         "0.weight"}}) {
    write_bytes(folder_ / "wrong.yaml", text);
    const Outcome wrong = score("theirs.safetensors a.png --layers wrong.yaml");
    EXPECT_TRUE(wrong.status == 2 || wrong.status == 3) << wrong.output;
    EXPECT_TRUE(mentions(wrong.output, {says})) << wrong.output;
  }
}

TEST_F(ScoreProgram, SaysWhatIsWrong) {
  write_bytes(folder_ / "notes.txt", "no states");
  write_bytes(folder_ / "gmm.yaml", "data: {kind: gmm}\n");
  write_bytes(folder_ / "none.yaml", "name: a\n");
  write_bytes(folder_ / "a.png", png_bytes(smooth_picture(8, 8, 1)));
  fs::create_directory(folder_ / "empty");
  const Network toy = published_network("toy", 2, 4);
  save_checkpoint(folder_ / "toy.safetensors", {.network = "toy", .channels = 2, .features = 4},
                  toy, initial_parameters(toy, 3).span());
  struct Case {
    std::string arguments;
    int status;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {"", 2, {"RUN or NET"}},
      {"net.safetensors", 2, {"INPUT is missing"}},
      {"none.safetensors a.png", 3, {"none.safetensors"}},
      {"empty a.png", 3, {"empty", "config.yaml"}},
      {"net.safetensors none.npy", 3, {"none.npy"}},
      {"net.safetensors notes.txt", 3, {"notes.txt", ".npy", "pictures", "IDX", "CIFAR"}},
      {"net.safetensors empty", 3, {"empty", "no images"}},
      {"net.safetensors gmm.yaml", 2, {"gmm", ".npy"}},
      {"net.safetensors none.yaml", 2, {"none.yaml", "data.kind", "missing"}},
      {"toy.safetensors a.png", 3, {"a.png", "no images", "2 × 1 × 1"}},
      {"net.safetensors a.png --draws 3", 2, {"--noise"}},
      {"net.safetensors a.png --noise nan", 2, {"--noise", "nan"}},
      {"net.safetensors a.png --noise -1", 2, {"--noise"}},
      {"net.safetensors a.png --epsilon inf", 2, {"--epsilon"}},
      {"net.safetensors a.png --noise 1 --gradient g.npy", 2, {"--gradient", "--noise"}},
      {"net.safetensors a.png --scores a.png", 2, {"--scores a.png", "read"}},
      {"net.safetensors a.png --against s.csv --scores s.csv", 2, {"--scores", "read"}},
      {"net.safetensors a.png --scores no/s.csv", 2, {"no folder"}},
      {"net.safetensors a.png --scores x --energy x", 2, {"same file"}},
      {"net.safetensors a.png --layers l.yaml --network toy", 2, {"--layers", "--network"}},
      {"net.safetensors a.png --layers l.yaml", 2, {"l.yaml"}},
  };
  for (const Case& c : cases) {
    const Outcome run = score(c.arguments);
    EXPECT_EQ(run.status, c.status) << c.arguments << "\n" << run.output;
    EXPECT_TRUE(mentions(run.output, c.says)) << c.arguments;
  }
  EXPECT_FALSE(fs::exists(folder_ / "s.csv"));
}

}  // namespace
}  // namespace ebm
