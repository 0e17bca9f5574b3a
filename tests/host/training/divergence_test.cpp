// Learning that comes apart: found in the same iteration, never saved, rolled back if so wished.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cuda/base/errors.h"
#include "host/files/safetensors.h"
#include "tests/host/training/stopped_runs.h"

namespace ebm {
namespace {

class Divergent : public Resume {
 protected:
  void set_learning_rate(double rate) {
    config_.optimizer = {.kind = OptimizerKind::sgd, .lr = rate, .lr_min = rate, .lr_decay = 1};
  }
  std::string message() {
    return message_of<Divergence>([&] { train(config_, folder_ / "run"); });
  }
  std::vector<std::vector<double>> rows() const {
    return read_csv(folder_ / "run/diagnostics.csv", 4);
  }
  std::string events() const { return read_bytes(folder_ / "run/events.csv"); }

  TrainConfig config_ = toy_config();
  TemporaryFolder folder_;
};

TEST_F(Divergent, IsReportedInTheSameIterationWithWhatHappened) {
  set_learning_rate(1e6);
  EXPECT_TRUE(mentions(message(), {"diverged at iteration 1", "a weight is", "divergence.weight",
                                   "optimizer.lr", "diverged_000001.safetensors"}));
  // What happened is on disk, the offending iteration included.
  EXPECT_EQ(rows().size(), 1U);
  const TensorFile aside =
      read_safetensors(folder_ / "run/checkpoints/diverged_000001.safetensors");
  EXPECT_EQ(aside.metadata.at("iteration"), "1");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/checkpoints/latest"));
}

TEST_F(Divergent, WeightsThatAreNotFiniteAreNotSavedAsTheLatest) {
  set_learning_rate(1e45);
  config_.checkpoint.every = 1;
  const std::string what = message();
  EXPECT_TRUE(mentions(what, {"iteration 1", "a weight is", "optimizer.lr"})) << what;
  EXPECT_EQ(what.find("data.noise"), std::string::npos) << what;  // not a key of toy data
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/checkpoints/latest"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/checkpoints/net_000001.safetensors"));
}

TEST_F(Divergent, LeavesTheLastGoodState) {
  config_.checkpoint.every = 1;
  train(config_, folder_ / "good");
  const double third = read_csv(folder_ / "good/diagnostics.csv", 4)[2][2];
  config_.divergence.gradient_strength = 0.999 * third;
  const std::string what = message();
  const auto failed = std::ssize(rows());  // the first iteration with such an r_s
  EXPECT_TRUE(mentions(
      what, {"r_s is", "divergence.gradient_strength", fmt::format("iteration {}:", failed)}))
      << what;
  for (std::int64_t i = 0; i + 1 < failed; ++i) {
    EXPECT_LE(rows()[static_cast<std::size_t>(i)][2], config_.divergence.gradient_strength);
  }
  if (failed > 1) {
    EXPECT_EQ(read_bytes(folder_ / "run/checkpoints/latest"),
              fmt::format("state_{:06}.safetensors\n", failed - 1));
  }
  // It would come apart again, in the same way.
  EXPECT_EQ(message(), what);
}

TEST_F(Divergent, EveryLimitIsHeeded) {
  const auto expect = [&](double DivergenceConfig::*limit, const char* says) {
    config_.divergence = {};
    config_.divergence.*limit = 1e-9;
    std::filesystem::remove_all(folder_ / "run");
    EXPECT_TRUE(mentions(message(), {"iteration 1", says}));
  };
  expect(&DivergenceConfig::energy_difference, "divergence.energy_difference");
  expect(&DivergenceConfig::gradient_strength, "divergence.gradient_strength");
  expect(&DivergenceConfig::energy, "divergence.energy");
  expect(&DivergenceConfig::weight, "divergence.weight");
}

TEST_F(Divergent, ARollbackRecoversWithASaneLearningRate) {
  set_learning_rate(1e6);
  config_.divergence = {.action = DivergenceAction::rollback, .factor = 1e-7, .times = 1};
  EXPECT_TRUE(train(config_, folder_ / "run"));
  const auto rows = this->rows();
  ASSERT_EQ(rows.size(), 6U);
  for (const auto& row : rows) {
    EXPECT_LT(std::abs(row[1]), 100.0);
    EXPECT_DOUBLE_EQ(row[3], 0.1);
  }
  EXPECT_TRUE(mentions(
      events(), {"1,rollback,\"training diverged at iteration 1: a weight is", ",0,1e-07\n"}))
      << events();
  // Not the noise of the run that diverged.
  set_learning_rate(0.1);
  train(config_, folder_ / "sane");
  EXPECT_NE(rows[0][2], read_csv(folder_ / "sane/diagnostics.csv", 4)[0][2]);
}

TEST_F(Divergent, IsRolledBackSoManyTimesAtMost) {
  set_learning_rate(1e6);
  config_.divergence = {.action = DivergenceAction::rollback, .factor = 0.9, .times = 2};
  EXPECT_TRUE(mentions(message(), {"diverged at iteration 1", "rolled back 2 times"}));
  EXPECT_TRUE(mentions(events(), {",0,0.9\n", ",0,0.81"})) << events();
}

TEST_F(Divergent, ARunThatIsRolledBackIsTheSameBitsWhereverItIsStopped) {
  config_.train.iterations = 8;
  config_.langevin.steps = 5;
  config_.checkpoint = {.every = 1, .keep = 100};
  train(config_, folder_ / "good");
  // A limit that the largest weight passes on its way, after iteration 3.
  double limit = 0;
  double largest_so_far = 0;
  for (int t = 1; t <= 8 && limit == 0; ++t) {
    double largest = 0;
    for (const Tensor& tensor :
         read_safetensors(folder_ / fmt::format("good/checkpoints/net_{:06}.safetensors", t))
             .tensors) {
      for (const float weight : tensor.values) {
        largest = std::max(largest, std::abs(static_cast<double>(weight)));
      }
    }
    if (t > 3 && largest > largest_so_far) {
      limit = (largest + largest_so_far) / 2;
    }
    largest_so_far = std::max(largest_so_far, largest);
  }
  ASSERT_GT(limit, 0.0);

  config_.checkpoint = {.every = 2};
  config_.divergence = {.action = DivergenceAction::rollback, .factor = 1e-4, .times = 3};
  config_.divergence.weight = limit;
  EXPECT_TRUE(train(config_, folder_ / "run"));
  EXPECT_TRUE(mentions(events(), {"rollback", ",0.0001\n"})) << events();
  EXPECT_EQ(rows().size(), 8U);
  EXPECT_DOUBLE_EQ(rows().back()[3], 0.05 * 1e-4);  // lr_min
  expect_same_bits_wherever_stopped(config_, false, 2);
}

}  // namespace
}  // namespace ebm
