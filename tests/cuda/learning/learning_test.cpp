// The published toy experiments learn what the published code learns: the energy of the convergent
// ones becomes the truth; the non-convergent one's short-run samples look right while its energy is
// nothing like it. Ranges are those measured with the published PyTorch code; seeds are fixed, and
// bounds hold for any seed tried (with another vector width or library the numbers are another
// draw).

#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/places.h"
#include "tests/support/run_training.h"

namespace ebm {
namespace {

/// A configuration of the project's, shortened, with a coarser landscape every `every` iterations.
TrainConfig shortened(const std::string& name, std::uint64_t seed, int iterations, int every,
                      int kde_chains) {
  const std::vector<std::string> overrides{"seed=" + std::to_string(seed),
                                           "train.iterations=" + std::to_string(iterations),
                                           "landscape.every=" + std::to_string(every),
                                           "landscape.resolution=100",
                                           "landscape.kde.chains=" + std::to_string(kde_chains),
                                           "checkpoint.every=100000"};
  return load_train_config(shipped_configs() / (name + ".yaml"), overrides);
}

class Learned {
 public:
  explicit Learned(const TrainConfig& config) {
    train(config, folder_ / "run");
    diagnostics_ = read_csv(folder_ / "run/diagnostics.csv", 3);
    landscapes_ = read_csv(folder_ / "run/landscape/landscape.csv", 4);
  }

  struct Landscape {
    std::int64_t iteration;
    double kl_learned;
    double l1_learned;
    double l1_shortrun;
  };
  std::vector<Landscape> landscapes() const {
    std::vector<Landscape> all;
    for (const auto& row : landscapes_) {
      all.push_back({static_cast<std::int64_t>(row[0]), row[1], row[2], row[3]});
    }
    return all;
  }
  /// Means of d_s (column 1) or r_s (2) over the 100 iterations up to `iteration`.
  double d_s(std::size_t iteration) const { return mean(iteration, 1); }
  double r_s(std::size_t iteration) const { return mean(iteration, 2); }

 private:
  double mean(std::size_t iteration, std::size_t column) const {
    double sum = 0;
    for (std::size_t i = iteration - 100; i < iteration; ++i) {
      sum += diagnostics_.at(i).at(column);
    }
    return sum / 100;
  }

  TemporaryFolder folder_;
  std::vector<std::vector<double>> diagnostics_;
  std::vector<std::vector<double>> landscapes_;
};

class GmmConvergent : public testing::TestWithParam<std::uint64_t> {};

TEST_P(GmmConvergent, LearnsTheTruth) {
  const Learned run(shortened("gmm_convergent", GetParam(), 2000, 100, 500));
  const auto landscapes = run.landscapes();
  EXPECT_EQ(landscapes.front().iteration, 1);
  EXPECT_GT(landscapes.front().kl_learned, 1);
  double kl = 0;  // the learning rate makes single landscapes jump
  int count = 0;
  for (const auto& landscape : landscapes) {
    if (landscape.iteration > 1500) {
      kl += landscape.kl_learned;
      ++count;
    }
  }
  EXPECT_EQ(count, 5);
  EXPECT_LT(kl / count, 0.5);
  RecordProperty("kl", std::to_string(kl / count));
  // Published: d_s −0.3 at 500, ±0.1 from 1,000 on; r_s .036–.046, .057–.067, .073–.078.
  EXPECT_NEAR(run.d_s(500), -0.35, 0.25);
  EXPECT_NEAR(run.d_s(1000), 0, 0.25);
  EXPECT_NEAR(run.d_s(2000), 0, 0.25);
  EXPECT_NEAR(run.r_s(500), 0.041, 0.012);
  EXPECT_NEAR(run.r_s(1000), 0.062, 0.012);
  EXPECT_NEAR(run.r_s(2000), 0.0755, 0.012);
}

INSTANTIATE_TEST_SUITE_P(Seeds, GmmConvergent, testing::Values(1, 2, 3));

TEST(GmmNonconvergent, SamplesLookRightWhileTheEnergyDoesNot) {
  double d_s = 0;
  double r_s = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const Learned run(shortened("gmm_nonconvergent", seed, 3000, 300, 5000));
    for (const auto& landscape : run.landscapes()) {
      EXPECT_GT(landscape.kl_learned, 3) << "iteration " << landscape.iteration;
      EXPECT_LT(landscape.l1_shortrun, landscape.l1_learned) << "iteration " << landscape.iteration;
    }
    // Published, 3 seeds: d_s 14–55 at 100 and 0.7–1.6 at 1,000; r_s .0053–.0057 and .0051–.0052.
    // Seeds 1–5 and 123 here: 11–131 and 0.8–2.1; .0047–.0073 and .0050–.0055: a network starts
    // where its seed puts it, and the bounds leave as much again.
    EXPECT_GT(run.d_s(100), 5);
    EXPECT_NEAR(run.r_s(100), 0.0060, 0.0020);
    EXPECT_NEAR(run.d_s(1000), 1.4, 1.2);
    EXPECT_NEAR(run.r_s(1000), 0.00525, 0.0004);
    d_s += run.d_s(3000) / 3;
    r_s += run.r_s(3000) / 3;
  }
  // Published, 3 seeds: d_s 0.7–1.3, r_s .0050.
  EXPECT_GT(d_s, 0.6);
  EXPECT_LT(d_s, 1.5);
  EXPECT_NEAR(r_s, 0.0050, 0.0002);
}

TEST(RingsConvergent, LearnsAsPublished) {
  const Learned run(shortened("rings_convergent", 1, 2000, 500, 500));
  // Published, one seed: KL .95 at the start, .56, .51 and .62 later; r_s .0070, .0076, .0089.
  const auto landscapes = run.landscapes();
  EXPECT_GT(landscapes.front().kl_learned, 0.8);
  for (const auto& landscape : landscapes) {
    if (landscape.iteration >= 500) {
      EXPECT_LT(landscape.kl_learned, 1.0) << "iteration " << landscape.iteration;
    }
  }
  EXPECT_NEAR(run.d_s(500), 0, 0.3);
  EXPECT_NEAR(run.d_s(2000), 0, 0.3);
  EXPECT_NEAR(run.r_s(500), 0.0070, 0.0015);
  EXPECT_NEAR(run.r_s(1000), 0.0076, 0.0015);
  // Seeds 1–8 here: .0068–.0104, with a mean of .0084 and a standard deviation of .0010. A seed's
  // value is another where the processor rounds otherwise: .0079 and .0068 for this one, with
  // AVX-512 and without. The bound is three standard deviations.
  EXPECT_NEAR(run.r_s(2000), 0.0084, 0.0031);
}

}  // namespace
}  // namespace ebm
