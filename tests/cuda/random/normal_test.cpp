// Uniform and normal numbers: their arithmetic against float64, and their law.

#include "cuda/random/normal.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numbers>
#include <vector>

#include "tests/support/numbers.h"
#include "tests/support/statistics.h"

namespace ebm {
namespace {

/// The ends and middle of the range, every border of a quadrant or of half of one and what lies
/// beside it, and 2^20 words between them.
std::vector<std::uint32_t> test_words() {
  std::vector<std::uint32_t> words;
  for (std::uint32_t eighth = 0; eighth < 8; ++eighth) {
    for (std::uint32_t beside = 0; beside < 64; ++beside) {
      words.push_back((eighth << 29) + beside);
      words.push_back((eighth << 29) - beside);
    }
  }
  for (std::uint32_t i = 0; i < (1U << 20); ++i) {
    words.push_back(i * 0x9e3779b9U);
  }
  return words;
}

TEST(Uniform, IsTheMiddleOfTheWordsIntervalRounded) {
  EXPECT_EQ(uniform(0), 0x1p-33F);
  EXPECT_EQ(uniform(0xffffffff), 1.0F);
  for (const std::uint32_t word : test_words()) {
    const float u = uniform(word);
    ASSERT_GT(u, 0.0F) << word;
    ASSERT_LE(u, 1.0F) << word;
    ASSERT_LE(ulps(u, (static_cast<double>(word) + 0.5) * 0x1p-32), 1.0) << word;
  }
}

TEST(UniformSymmetric, IsTheMiddleOfTheWordsIntervalRounded) {
  EXPECT_EQ(uniform_symmetric(0x80000000), -1.0F);
  EXPECT_EQ(uniform_symmetric(0x7fffffff), 1.0F);
  EXPECT_EQ(uniform_symmetric(0), 0x1p-32F);
  for (const std::uint32_t word : test_words()) {
    const float u = uniform_symmetric(word);
    ASSERT_GE(u, -1.0F) << word;
    ASSERT_LE(u, 1.0F) << word;
    const auto place = static_cast<double>(static_cast<std::int32_t>(word));
    ASSERT_NEAR(u, (place + 0.5) * 0x1p-31, kRounding) << word;
  }
}

TEST(LogPositive, IsWithinAnUlp) {
  double worst = 0;
  const auto compare = [&](float x) {
    worst = std::max(worst, ulps(log_positive(x), std::log(static_cast<double>(x))));
  };
  // Every float of [1/4, 2): both sides of 1, and of the borders 1/√2 and √2 of the reduction.
  const auto end = std::bit_cast<std::uint32_t>(2.0F);
  for (auto bits = std::bit_cast<std::uint32_t>(0.25F); bits < end; ++bits) {
    compare(std::bit_cast<float>(bits));
  }
  for (const std::uint32_t word : test_words()) {
    compare(uniform(word));
  }
  for (int exponent = -126; exponent < 128; ++exponent) {
    compare(std::ldexp(1.0F, exponent));
    compare(std::ldexp(1.9999999F, exponent));
  }
  EXPECT_LT(worst, 1.0);
  EXPECT_EQ(log_positive(1.0F), 0.0F);
}

TEST(SinCosTurn, IsWithinThreeUlps) {
  double worst = 0;
  for (const std::uint32_t word : test_words()) {
    float sine = kNan;
    float cosine = kNan;
    sin_cos_turn(word, sine, cosine);
    // Whole quarter turns are taken off exactly first: 2π in float64 is too coarse near zeros.
    const double turns = static_cast<double>(word) * 0x1p-32;
    const double quarters = std::round(4 * turns);
    const double rest = 2 * std::numbers::pi * (turns - quarters / 4);
    const double exact[4] = {std::sin(rest), std::cos(rest), -std::sin(rest), -std::cos(rest)};
    const auto quadrant = static_cast<std::size_t>(quarters) % 4;
    worst = std::max(worst, ulps(sine, exact[quadrant]));
    worst = std::max(worst, ulps(cosine, exact[(quadrant + 1) % 4]));
  }
  EXPECT_LT(worst, 3.0);
}

TEST(BoxMuller, IsThePolarMapOfTwoWords) {
  const std::vector<std::uint32_t> words = test_words();
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t radius_word = words[i];
    const std::uint32_t angle_word = words[words.size() - 1 - i];
    float first = kNan;
    float second = kNan;
    box_muller(radius_word, angle_word, first, second);
    const auto u = static_cast<double>(uniform(radius_word));
    const double radius = std::sqrt(-2 * std::log(u));
    const double angle = 2 * std::numbers::pi * 0x1p-32 * static_cast<double>(angle_word);
    ASSERT_NEAR(first, radius * std::sin(angle), 4 * kRounding * radius) << i;
    ASSERT_NEAR(second, radius * std::cos(angle), 4 * kRounding * radius) << i;
  }
}

TEST(BoxMuller, Extremes) {
  float first = kNan;
  float second = kNan;
  box_muller(0, 0, first, second);
  EXPECT_FLOAT_EQ(second, 6.7637062F);  // √(66 ln 2), the largest there is
  EXPECT_EQ(first, 0.0F);
  box_muller(0xffffffff, 0x20000000, first, second);
  EXPECT_EQ(first, 0.0F);  // the smallest, and not the root of something negative
  EXPECT_EQ(second, 0.0F);
}

TEST(Normals, PairsTheFirstTwoWordsAndTheLastTwo) {
  const Words4 words{{0x12345678, 0x9abcdef0, 0x0fedcba9, 0x87654321}};
  const Floats4 z = normals(words);
  float expected[4];
  box_muller(words.v[0], words.v[1], expected[0], expected[1]);
  box_muller(words.v[2], words.v[3], expected[2], expected[3]);
  for (int k = 0; k < 4; ++k) {
    EXPECT_EQ(z.v[k], expected[k]) << k;
  }
}

/// The noise of kChains chains of kSize components over kSteps steps, in that order, last fastest.
constexpr std::uint32_t kSteps = 64;
constexpr std::uint32_t kChains = 64;
constexpr std::uint32_t kSize = 256;

class NormalLaw : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const RandomStream stream{.seed = 123, .purpose = Purpose::langevin, .iteration = 5};
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      for (std::uint32_t chain = 0; chain < kChains; ++chain) {
        for (std::uint32_t group = 0; group < kSize / 4; ++group) {
          for (const float z : normals(stream.words(step, chain, group)).v) {
            sample().push_back(static_cast<double>(z));
          }
        }
      }
    }
  }
  static void TearDownTestSuite() { sample().clear(); }

  static std::vector<double>& sample() {
    static std::vector<double> values;
    return values;
  }
  static double mean_of(const std::function<double(double)>& f) {
    double sum = 0;
    for (const double z : sample()) {
      sum += f(z);
    }
    return sum / static_cast<double>(sample().size());
  }
  static double standard_errors(double variance) {
    return kStandardErrors * std::sqrt(variance / static_cast<double>(sample().size()));
  }
};

TEST_F(NormalLaw, Moments) {
  // E z^2k = (2k − 1)!!, and so the variance of zⁿ. False alarms: kFalseAlarm each.
  EXPECT_NEAR(mean_of([](double z) { return z; }), 0, standard_errors(1));
  EXPECT_NEAR(mean_of([](double z) { return z * z; }), 1, standard_errors(3 - 1));
  EXPECT_NEAR(mean_of([](double z) { return z * z * z; }), 0, standard_errors(15));
  EXPECT_NEAR(mean_of([](double z) { return z * z * z * z; }), 3, standard_errors(105 - 9));
}

TEST_F(NormalLaw, DistributionFunction) {
  // False alarm: kFalseAlarm.
  EXPECT_LT(kolmogorov_smirnov(sample(), normal_cdf), kolmogorov_smirnov_bound(sample().size()));
}

TEST_F(NormalLaw, BinsAndTails) {
  // 18 bins half a unit wide and the two tails beyond 4.5: 7 values expected in all of them. False
  // alarm: kFalseAlarm by the limit law of χ².
  constexpr std::size_t kBins = 20;
  std::vector<double> observed(kBins);
  std::vector<double> expected(kBins);
  const auto n = static_cast<double>(sample().size());
  for (const double z : sample()) {
    ++observed[static_cast<std::size_t>(std::clamp(std::floor(2 * z) + 10, 0.0, kBins - 1.0))];
  }
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const double low = static_cast<double>(bin) / 2 - 5;
    const double below = bin == 0 ? 0 : normal_cdf(low);
    const double above = bin == kBins - 1 ? 0 : normal_cdf(-low - 0.5);
    expected[bin] = n * (1 - below - above);
  }
  EXPECT_LT(chi_square(observed, expected), chi_square_bound(kBins - 1));
}

TEST_F(NormalLaw, NeighboursAreIndependent) {
  // Within a pair, between pairs and groups, along a state, between chains and between steps; of
  // values and of their squares, for a pair shares its radius. False alarms: kFalseAlarm each.
  const std::vector<double>& z = sample();
  for (const std::size_t lag :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{4}, std::size_t{64},
        std::size_t{kSize}, std::size_t{kSize} * kChains}) {
    double product = 0;
    double product_of_squares = 0;
    for (std::size_t i = lag; i < z.size(); ++i) {
      product += z[i] * z[i - lag];
      product_of_squares += (z[i] * z[i] - 1) * (z[i - lag] * z[i - lag] - 1);
    }
    const auto pairs = static_cast<double>(z.size() - lag);
    EXPECT_NEAR(product / pairs, 0, kStandardErrors / std::sqrt(pairs)) << lag;
    EXPECT_NEAR(product_of_squares / pairs, 0, 2 * kStandardErrors / std::sqrt(pairs)) << lag;
  }
}

}  // namespace
}  // namespace ebm
