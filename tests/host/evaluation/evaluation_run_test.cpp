// Evaluations of small networks: what they find, and that stopping makes no difference.
#include "host/evaluation/evaluation_run.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "cuda/base/errors.h"
#include "cuda/diagnostics/density.h"
#include "cuda/nn/host_states.h"
#include "host/data/make_batches.h"
#include "host/evaluation/evaluation_bank.h"
#include "host/evaluation/training_record.h"
#include "host/files/npy.h"
#include "tests/host/training/stopped_runs.h"
#include "tests/support/places.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// Without gnuplot.
class EvaluationRunTest : public Resume {
 protected:
  EvaluationRunTest() {
    train(toy_config(), folder_ / "toy");
    write_small_mnist(folder_ / "digits", 40);
    train(small_images(), folder_ / "images");
  }

  /// Digits of 8 pixels a side, for a network of two layers.
  TrainConfig small_images() const {
    write_bytes(folder_ / "images.yaml",
                "name: images\n"
                "data: {kind: mnist, path: " +
                    (folder_ / "digits").string() +
                    ", image_size: 8}\n"
                    "network: {layers: [{conv: {outputs: 2, kernel: 4, stride: 4}}, leaky_relu, "
                    "flatten, {linear: {outputs: 1}}]}\n"
                    "optimizer: {kind: sgd, lr: 0.01}\n"
                    "langevin: {epsilon: 0.1, steps: 5, init: persistent}\n"
                    "train: {iterations: 4, batch_size: 20}\n");
    return load_train_config(folder_ / "images.yaml");
  }

  EvaluateConfig evaluation_of(const TrainConfig& trained, const std::string& network) const {
    EvaluateConfig config;
    config.name = trained.name;
    config.network = trained.network;
    config.data = trained.data;
    config.langevin = trained.langevin;
    config.evaluate = {.checkpoint = (folder_ / network).string(),
                       .chains = 30,
                       .steps = 40,
                       .every = 4,
                       .projections = 2,
                       .annealing_chains = 40,
                       .annealing_steps = 60,
                       .samples = 100};
    config.log.every = 16;
    return config;
  }
  EvaluateConfig toy() const {
    return evaluation_of(toy_config(), "toy/checkpoints/net_000006.safetensors");
  }
  EvaluateConfig images() const {
    EvaluateConfig config =
        evaluation_of(small_images(), "images/checkpoints/net_000004.safetensors");
    config.evaluate.chains = 20;
    config.evaluate.annealing_chains = 20;
    config.evaluate.annealing_steps = 12;
    return config;
  }

  /// Evaluates into a folder, or goes on with what is there. Returns whether it is done.
  std::optional<Verdict> evaluate(const EvaluateConfig& config, const fs::path& folder,
                                  const StopRequest& stop = never_asked_to_stop) const {
    const bool is_new = !fs::exists(folder / "config.yaml");
    const RunFolder run_folder = is_new ? RunFolder::create(folder) : RunFolder::reopen(folder);
    RunLog log(run_folder.log(), true);
    const Checkpoint checkpoint =
        load_checkpoint(config.evaluate.checkpoint, choice_of(config.network));
    if (is_new) {
      write_bytes(run_folder.config(), to_yaml(config));
      save_bank_rows(config, checkpoint.network.input(), folder, log);
    }
    return EvaluationRun(config, checkpoint, folder_ / config.name, run_folder, log, stop).run();
  }

  /// Its layers, which the file itself says.
  static NetworkConfig load_checkpoint_network(const std::string& name) {
    const Checkpoint checkpoint =
        load_checkpoint(test_data() / "annealed" / (name + ".safetensors"), {});
    return {.kind = NetworkKind::custom,
            .channels = 2,
            .image_size = 1,
            .layers = checkpoint.network.layers()};
  }

  static nlohmann::json json(const fs::path& folder) {
    return nlohmann::json::parse(read_bytes(folder / "evaluation.json"));
  }

  TemporaryFolder folder_;
};

TEST_F(EvaluationRunTest, FindsWhatTheFilesSay) {
  const EvaluateConfig config = toy();
  ASSERT_TRUE(evaluate(config, folder_ / "found"));
  const auto json = EvaluationRunTest::json(folder_ / "found");
  EXPECT_EQ(json["iteration"], 6);
  EXPECT_EQ(json["dimensions"], 2);
  EXPECT_EQ(json["record"]["iterations"], 6);
  for (const char* start : {"data", "noise", "bank"}) {
    const auto shape = std::vector<std::int64_t>{10, 30};
    const NpyArray energy = read_npy(folder_ / fmt::format("found/energy_{}.npy", start));
    EXPECT_EQ(energy.shape, shape) << start;
    EXPECT_EQ(read_npy(folder_ / fmt::format("found/gradient_{}.npy", start)).shape, shape);
    EXPECT_EQ(read_npy(folder_ / fmt::format("found/projections_{}.npy", start)).shape,
              (std::vector<std::int64_t>{10, 30, 2}));
    double sum = 0;
    for (const float u : std::span(energy.values).last(5 * 30)) sum += static_cast<double>(u);
    EXPECT_NEAR(json["mixing"]["starts"][start]["energy_mean"].get<double>(), sum / 150, 1e-9);
  }
  for (const char* set : {"held_out", "short_run", "bank", "data_chains", "noise_chains"}) {
    EXPECT_TRUE(json["distances"][set]["frechet"].is_number()) << set;
  }
  // Chains from the bank begin with its rows, and projections are of unit length.
  const NpyArray bank = read_npy(folder_ / "found/bank.npy");
  ASSERT_EQ(bank.values.size(), 60U);
  const std::vector<float> directions = random_directions(config.seed, 2, 2);
  EXPECT_NEAR(std::hypot(directions[0], directions[1]), 1, 1e-6);
  const NpyArray along = read_npy(folder_ / "found/projections_bank.npy");
  EXPECT_NEAR(along.values[1], bank.values[0] * directions[2] + bank.values[1] * directions[3],
              1e-6);
}

/// An untrained toy network is smooth: annealing's bracket is narrow, and the truth is a sum.
TEST_F(EvaluationRunTest, BracketsTheConstantAndTheDivergenceOfAToy) {
  EvaluateConfig config = toy();
  config.evaluate.annealing_chains = 200;
  config.evaluate.annealing_steps = 400;
  config.evaluate.chains = 50;
  ASSERT_TRUE(evaluate(config, folder_ / "found"));
  const auto json = EvaluationRunTest::json(folder_ / "found");
  const double high = json["log_z"]["support"]["high"];
  const Checkpoint checkpoint =
      load_checkpoint(config.evaluate.checkpoint, choice_of(config.network));
  const auto energy = make_energy({}, checkpoint.network, 100);
  HostStates host(*energy);
  host.set_parameters(checkpoint.parameters.span());
  const std::vector<float> axis = grid_axis(high, 400);
  std::vector<float> f(400 * 400);
  host.energies(grid_states(axis), f);
  const double step = 2 * high / 399;
  double sum = 0;
  for (const float value : f) {
    sum += std::exp(-static_cast<double>(value) / config.temperature()) * step * step;
  }
  EXPECT_LE(json["log_z"]["lower"].get<double>(), std::log(sum));
  EXPECT_GE(json["log_z"]["upper"].get<double>(), std::log(sum));
  EXPECT_NEAR(json["log_z"]["forward"].get<double>(), std::log(sum), 0.1);
  EXPECT_NEAR(json["kl"]["annealed"].get<double>(), json["kl"]["quadrature"].get<double>(), 0.1);
  EXPECT_NEAR(json["kl"]["quadrature"].get<double>(),
              kl_divergence(true_density(toy_density(config.data), axis), f, 0.125), 0.01);
}

/// Small networks that learned the toys: the truth is KL(truth ‖ learned), by a grid.
TEST_F(EvaluationRunTest, TellsWhatWasLearnedFromWhatWasNot) {
  constexpr double kLearned = 1;  // nats; no such network is between
  constexpr double kNotLearned = 2;
  for (const std::string name :
       {"gmm_convergent", "gmm_nonconvergent", "rings_convergent", "rings_nonconvergent"}) {
    const bool non = name.find("non") != std::string::npos;
    EvaluateConfig config;
    config.name = name;
    config.network = load_checkpoint_network(name);
    config.data.kind = name.starts_with("gmm") ? DataKind::gmm : DataKind::rings;
    config.data.groups = name.starts_with("gmm") ? 8 : 4;
    config.langevin = {.epsilon = non ? 0.01 : 0.125,
                       .steps = 100,
                       .init = non ? InitialStates::gaussian : InitialStates::persistent};
    config.evaluate = {.checkpoint = (test_data() / "annealed" / (name + ".safetensors")).string(),
                       .chains = 200,
                       .steps = 1000,
                       .annealing_chains = 200,
                       .annealing_steps = 1000,
                       .samples = 1000};
    int decided = 0;
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      config.seed = seed;
      const fs::path out = folder_ / fmt::format("{}_{}", name, seed);
      const std::optional<Verdict> verdict = evaluate(config, out);
      ASSERT_TRUE(verdict);
      const double kl = json(out)["kl"]["quadrature"];
      EXPECT_TRUE(non ? kl > kNotLearned : kl < kLearned) << kl;
      EXPECT_NE(verdict->convergent, non ? Answer::yes : Answer::no) << name << verdict->why;
      decided += verdict->convergent == Answer::undecided ? 0 : 1;
    }
    if (name != "rings_convergent") {  // which is half way: 0.55 nats, where a Gaussian has 0.6
      EXPECT_EQ(decided, 3) << name;
    }
  }
}

TEST_F(EvaluationRunTest, GoesOnFromWhereverItWasStoppedOnAnyThreads) {
  int run = 0;
  for (const EvaluateConfig& config : {toy(), images()}) {
    const fs::path whole = folder_ / fmt::format("whole_{}", ++run);
    ASSERT_TRUE(evaluate(config, whole));
    int question = 1;
    for (;; question += 1 + question / 2) {
      const fs::path stopped = folder_ / fmt::format("stopped_{}_{}", run, question);
      {
        const Threads threads(1 + question % 2);
        if (evaluate(config, stopped, stop_at(question, false))) {
          break;
        }
      }
      const Threads threads(2 - question % 2);
      ASSERT_TRUE(evaluate(config, stopped));
      ASSERT_EQ(differing_files(stopped, whole), "") << run << " stopped at question " << question;
      fs::remove_all(stopped);
    }
    EXPECT_GT(question, 40) << "hardly asked";
  }
}

TEST_F(EvaluationRunTest, ChoosesASupportThatHoldsTheData) {
  EvaluateConfig config = toy();
  const std::vector<float> data{-1, 0.5F, 2, 1};
  EXPECT_EQ(choose_support(config, data).box, std::pair(-3.0F, 3.0F));
  config.langevin.clamp = Clamp({-1.5, 1});
  EXPECT_EQ(choose_support(config, data).box, std::pair(-1.5F, 2.0F));
  config.evaluate.box = Clamp({-4, 2});
  EXPECT_EQ(choose_support(config, data).box, std::pair(-4.0F, 2.0F));
  config.evaluate.box = Clamp({-0.5, 2});
  EXPECT_THROW(choose_support(config, data), ConfigurationError);
}

TEST_F(EvaluationRunTest, ADamagedFileOfAStoppedEvaluationIsAnError) {
  const EvaluateConfig config = toy();
  ASSERT_FALSE(evaluate(config, folder_ / "run", stop_at(30, false)));
  fs::resize_file(folder_ / "run/annealing_path.npy", 200);
  EXPECT_THROW(evaluate(config, folder_ / "run"), InputFileError);
}

TEST(TrainingRecord, IsOfTheIterationsBeforeTheNetwork) {
  const TemporaryFolder folder;
  const fs::path file = folder / "diagnostics.csv";
  EXPECT_FALSE(read_training_record(file, 4));
  write_bytes(file,
              "iteration,d_s,r_s,learning_rate,mean_f_data,mean_f_samples\n"
              "1,1,2,0.1,0,0\n2,-1,2,0.1,0,0\n3,1,4,0.1,0,0\n4,1,4,0.1,0,0\n5,100,4,0.1,0,0\n");
  const std::optional<TrainingRecord> record = read_training_record(file, 4);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->iterations, 4);
  EXPECT_EQ(record->d_s_mean, 0.5);
  EXPECT_EQ(record->d_s_deviation, 1);
  EXPECT_EQ(record->r_s_mean, 3);
  EXPECT_EQ(record->positive, 0.75);
  EXPECT_NEAR(record->sign_changes, 2.0 / 3, 1e-15);
  EXPECT_FALSE(read_training_record(file, 6)) << "it is not of this network";
}

}  // namespace
}  // namespace ebm
