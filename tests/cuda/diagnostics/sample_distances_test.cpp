// Distances of samples from data, by NumPy's and SciPy's values and by exact laws.

#include "cuda/diagnostics/sample_distances.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/files/safetensors.h"
#include "tests/support/goldens.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

std::array<double, 5> all_of(const SampleDistances& d) {
  return {d.frechet, d.mmd, d.mmd_error, d.precision, d.recall};
}

struct Case {
  const char* name;
  int neighbours;
};

class SampleDistancesGolden : public testing::TestWithParam<Case> {};

TEST_P(SampleDistancesGolden, AreNumpys) {
  const TensorFile golden = golden_file("distances");
  const std::string name = GetParam().name;
  const Tensor& reference = golden.at(name);
  const std::vector<float>& samples = golden.at(name + "_samples").values;
  const std::vector<float>& expected = golden.at(name + "_says").values;
  const SampleDistances out =
      sample_distances(reference.values, samples, reference.shape[1], GetParam().neighbours);
  const auto value = [&](std::size_t i) { return static_cast<double>(expected[i]); };
  EXPECT_NEAR(out.frechet, value(0), 1e-5 * value(0));
  EXPECT_NEAR(out.mmd, value(1), 1e-6);
  EXPECT_NEAR(out.mmd_error, value(2), 1e-4 * value(2));
  EXPECT_FLOAT_EQ(static_cast<float>(out.precision), expected[3]);
  EXPECT_FLOAT_EQ(static_cast<float>(out.recall), expected[4]);
}

INSTANTIATE_TEST_SUITE_P(Sets, SampleDistancesGolden,
                         testing::Values(Case{"alike", 3}, Case{"one_law", 5}, Case{"narrow", 3},
                                         Case{"flat", 1}),
                         [](const auto& instance) { return std::string(instance.param.name); });

std::vector<float> normals(std::mt19937& words, std::size_t count, float mean = 0) {
  std::normal_distribution<float> normal(mean);
  std::vector<float> x(count);
  for (float& value : x) value = normal(words);
  return x;
}

/// Four points of the plane with this mean and covariance (a, b; b, c).
std::vector<float> with_moments(double x, double y, double a, double b, double c) {
  // Cholesky's factor on (±√(3/2), 0) and (0, ±√(3/2)), whose covariance over n − 1 is I.
  const double r = std::sqrt(1.5);
  const double xx = std::sqrt(a);
  const double yx = b / xx;
  const double yy = std::sqrt(c - yx * yx);
  std::vector<float> points;
  for (const double sign : {-1.0, 1.0}) {
    points.push_back(static_cast<float>(x + sign * r * xx));
    points.push_back(static_cast<float>(y + sign * r * yx));
    points.push_back(static_cast<float>(x));
    points.push_back(static_cast<float>(y + sign * r * yy));
  }
  return points;
}

TEST(SampleDistances, FrechetIsThatOfGaussians) {
  // tr (AB)^½ = √(tr AB + 2 √(det A det B)) in the plane: covariances that do not commute.
  const std::vector<float> reference = with_moments(1, 2, 4, 1, 2);
  const std::vector<float> samples = with_moments(-1, 2.5, 1, -0.5, 3);
  const double common = std::sqrt(4 - 0.5 - 0.5 + 6 + 2 * std::sqrt(7 * 2.75));
  EXPECT_NEAR(sample_distances(reference, samples, 2).frechet, 4.25 + 6 + 4 - 2 * common, 1e-5);
  EXPECT_NEAR(sample_distances(samples, reference, 2).frechet, 4.25 + 6 + 4 - 2 * common, 1e-5);
  EXPECT_NEAR(sample_distances(reference, reference, 2).frechet, 0, 1e-7);
}

TEST(SampleDistances, MmdIsThatOfGaussians) {
  // Of N(0, I) and N(δ, I) in the plane, with a kernel of width s:
  // 2 s²/(s² + 2) (1 − exp(−|δ|²/(2 (s² + 2)))); distances have a median of √(4 log 2).
  std::mt19937 words(3);
  const std::vector<float> reference = normals(words, 8000);
  const std::vector<float> samples = normals(words, 8000, 0.5F);
  const double s2 = 4 * std::log(2.0);
  const double expected = 2 * s2 / (s2 + 2) * (1 - std::exp(-0.5 / (2 * (s2 + 2))));
  // Its standard deviation is some 5%, over seeds.
  EXPECT_NEAR(sample_distances(reference, samples, 2).mmd, expected, 0.2 * expected);
}

TEST(SampleDistances, MmdOfOneLawIsNoise) {
  constexpr int kRepetitions = 2000;
  const Threads one(1);  // for sets this small, more wait for one another
  std::mt19937 words(8);
  double sum = 0;
  double squares = 0;
  double expected = 0;
  int beyond = 0;
  for (int i = 0; i < kRepetitions; ++i) {
    const std::vector<float> reference = normals(words, 2 * 30);
    const SampleDistances out = sample_distances(reference, normals(words, 2 * 45), 2);
    sum += out.mmd;
    squares += out.mmd * out.mmd;
    expected += out.mmd_error * out.mmd_error;
    beyond += out.mmd > 3 * out.mmd_error ? 1 : 0;
  }
  const double error = std::sqrt(expected / kRepetitions);
  // Four standard errors: false alarms of the mean in 1 of 16,000 seeds. Those of the square follow
  // from a kurtosis of about 6: √(5/2000) = 0.05.
  EXPECT_NEAR(sum / kRepetitions, 0, 4 * error / std::sqrt(kRepetitions));
  EXPECT_NEAR(squares / expected, 1, 0.2);
  EXPECT_LT(beyond, kRepetitions / 10) << "Cantelli's inequality";
}

TEST(SampleDistances, PrecisionAndRecallTellWhatIsMissing) {
  std::mt19937 words(5);
  std::vector<float> both = normals(words, 400, -20);
  const std::vector<float> other = normals(words, 400, 20);
  both.insert(both.end(), other.begin(), other.end());
  const SampleDistances dropped = sample_distances(both, other, 2);
  EXPECT_EQ(dropped.precision, 1);
  EXPECT_EQ(dropped.recall, 0.5);
  const SampleDistances invented = sample_distances(other, both, 2);
  EXPECT_EQ(invented.precision, 0.5);
  EXPECT_EQ(invented.recall, 1);
}

TEST(SampleDistances, AreTheSameBitsForAnyNumberOfThreadsAndLikeForAnyOrder) {
  std::mt19937 words(6);
  const std::vector<float> reference = normals(words, 7 * 301);
  std::vector<float> samples = normals(words, 7 * 130);
  const auto compute = [&](int count) {
    const Threads threads(count);
    return all_of(sample_distances(reference, samples, 7));
  };
  const std::array<double, 5> in_order = compute(1);
  EXPECT_EQ(in_order, compute(3));
  for (std::size_t row = 0; row < 65; ++row) {
    std::swap_ranges(&samples[7 * row], &samples[7 * row] + 7, &samples[7 * (129 - row)]);
  }
  const std::array<double, 5> reversed = compute(2);
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    EXPECT_NEAR(reversed[i], in_order[i], 1e-6) << i;
  }
}

TEST(SampleDistances, AreUndefinedWhereTheySaySo) {
  std::mt19937 words(9);
  const std::vector<float> reference = normals(words, 2 * 70);
  const auto undefined = [](const SampleDistances& distances) {
    return std::ranges::all_of(all_of(distances), [](double x) { return std::isnan(x); });
  };
  for (const float value : {NAN, std::numeric_limits<float>::infinity(), -1e30F}) {
    std::vector<float> samples = normals(words, 2 * 70);
    samples[40] = value;
    EXPECT_TRUE(undefined(sample_distances(reference, samples, 2)));
    EXPECT_TRUE(undefined(sample_distances(samples, reference, 2)));
  }
  EXPECT_TRUE(undefined(sample_distances(reference, {}, 2)));
  EXPECT_TRUE(undefined(sample_distances(reference, std::vector<float>(6), 2))) << "three";
  EXPECT_TRUE(undefined(sample_distances(reference, normals(words, 10), 2, 5))) << "five others";

  const std::vector<float> constant(2 * 70, 0.3F);
  const SampleDistances collapsed = sample_distances(constant, constant, 2);
  EXPECT_EQ(collapsed.frechet, 0);
  EXPECT_TRUE(std::isnan(collapsed.mmd) && std::isnan(collapsed.mmd_error));
  EXPECT_EQ(collapsed.precision, 1);
  EXPECT_EQ(collapsed.recall, 1);
  EXPECT_GT(sample_distances(reference, constant, 2).mmd, 0.1);

  EXPECT_THROW(sample_distances(reference, reference, 3), std::invalid_argument);
  EXPECT_THROW(sample_distances(reference, reference, 0), std::invalid_argument);
  EXPECT_THROW(sample_distances(reference, reference, 2, 0), std::invalid_argument);
}

}  // namespace
}  // namespace ebm
