#include "cuda/diagnostics/correlations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "host/files/safetensors.h"
#include "tests/support/places.h"
#include "tests/support/statistics.h"

namespace ebm {
namespace {

constexpr std::size_t kMaxLag = Correlations::kMaxLag;

/// n independent N(0, 1) values.
std::vector<double> white_noise(std::size_t n, std::uint32_t seed) {
  std::mt19937 words(seed);
  std::normal_distribution<double> normal;
  std::vector<double> values(n);
  std::generate(values.begin(), values.end(), [&] { return normal(words); });
  return values;
}

template <class Values>
bool all_nan(const Values& values, std::size_t from = 0) {
  return std::all_of(values.begin() + static_cast<std::ptrdiff_t>(from), values.end(),
                     [](double value) { return std::isnan(value); });
}

template <class Values>
bool none_nan(const Values& values) {
  return std::none_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

TEST(Correlations, MeetTheGoldens) {
  const TensorFile golden = read_safetensors(test_data() / "correlations.safetensors");
  const auto series = [&golden](const char* name) {
    const std::vector<float>& values = golden.at(name).values;
    return std::vector<double>(values.begin(), values.end());
  };
  const Correlations out = correlations(series("d"), series("r"));
  EXPECT_EQ(out.m, 2000U);
  const auto expect_near = [&](std::span<const double> values, const char* name) {
    const std::vector<double> expected = series(name);
    ASSERT_EQ(values.size(), expected.size()) << name;
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], expected[i], 1e-5 * std::max(1.0, std::abs(expected[i])))
          << name << " " << i;
    }
  };
  expect_near(out.cross, "cross_correlation");
  expect_near(out.d_acf, "d_acf");
  expect_near(out.r_acf, "r_acf");
  expect_near(out.d_pacf, "d_pacf");
  expect_near(out.r_pacf, "r_pacf");
}

TEST(Correlations, PositiveLagsAreOfDWithTheRBefore) {
  const std::vector<double> r = white_noise(500, 1);
  std::vector<double> d(500, 0.0);
  std::copy(r.begin(), r.end() - 3, d.begin() + 3);  // d_t = r_{t−3}
  const Correlations out = correlations(d, r);
  const auto highest = std::max_element(out.cross.begin(), out.cross.end());
  EXPECT_EQ(highest - out.cross.begin(), kMaxLag + 3);
  EXPECT_GT(*highest, 0.95);
}

TEST(Correlations, SwappingTheSeriesMirrorsTheCrossCorrelation) {
  // Of centred series: d_s is not centred, r_s is.
  const auto centred = [](std::vector<double> values) {
    double mean = 0;
    for (const double value : values) mean += value / static_cast<double>(values.size());
    for (double& value : values) value -= mean;
    return values;
  };
  const std::vector<double> a = centred(white_noise(700, 2));
  const std::vector<double> b = centred(white_noise(700, 3));
  const Correlations ab = correlations(a, b);
  const Correlations ba = correlations(b, a);
  for (std::size_t i = 0; i <= 2 * kMaxLag; ++i) {
    EXPECT_NEAR(ab.cross[i], ba.cross[2 * kMaxLag - i], 1e-12) << i;
  }
}

TEST(Correlations, DoNotDependOnScale) {
  const std::vector<double> d = white_noise(300, 4);
  const std::vector<double> r = white_noise(300, 5);
  const Correlations expected = correlations(d, r);
  for (const double scale : {1e-300, 1e300}) {
    std::vector<double> scaled_d = d;
    std::vector<double> scaled_r = r;
    for (double& value : scaled_d) value *= scale;
    for (double& value : scaled_r) value *= scale;
    const Correlations out = correlations(scaled_d, scaled_r);
    for (std::size_t i = 0; i <= 2 * kMaxLag; ++i) {
      EXPECT_NEAR(out.cross[i], expected.cross[i], 1e-9) << scale;
    }
    EXPECT_NEAR(out.d_pacf[kMaxLag], expected.d_pacf[kMaxLag], 1e-9);
    EXPECT_NEAR(out.r_pacf[kMaxLag], expected.r_pacf[kMaxLag], 1e-9);
  }
}

TEST(Correlations, OnlyTheWindowCounts) {
  std::vector<double> d = white_noise(2500, 6);
  std::vector<double> r = white_noise(2500, 7);
  const std::span<const double> all_d(d);
  const std::span<const double> all_r(r);
  const Correlations last = correlations(all_d.last(2000), all_r.last(2000));
  d[499] = std::numeric_limits<double>::quiet_NaN();
  r[499] = 1e9;
  const Correlations out = correlations(d, r);
  EXPECT_EQ(out.m, 2000U);
  EXPECT_EQ(out.cross, last.cross);
  EXPECT_EQ(out.d_pacf, last.d_pacf);
  EXPECT_EQ(out.r_pacf, last.r_pacf);
}

TEST(Correlations, OfWhiteNoiseStayWithinTheBand) {
  const Correlations out = correlations(white_noise(2000, 8), white_noise(2000, 9));
  EXPECT_NEAR(out.white_noise_band(), 1.96 / std::sqrt(2000.0), 1e-15);
  // Each value is N(0, 1/m) to good approximation. False alarms: 91 comparisons of kFalseAlarm
  // each.
  const double bound = kStandardErrors * out.white_noise_band() / 1.96;
  std::size_t outside = 0;
  const auto check = [&](std::span<const double> values) {
    for (const double value : values) {
      EXPECT_LT(std::abs(value), bound);
      outside += std::abs(value) > out.white_noise_band() ? 1U : 0U;
    }
  };
  check(std::span(out.d_pacf).subspan(1));
  check(std::span(out.r_pacf).subspan(1));
  outside = 0;
  check(out.cross);
  check(std::span(out.d_acf).subspan(1));
  check(std::span(out.r_acf).subspan(1));
  // Each of these 61 leaves the band with a chance of 5%: P(Binomial(61, .05) > 13) = 1e-06.
  EXPECT_LE(outside, 13U);
}

TEST(Correlations, ThePartialOnesOfAnAutoregressionCutOff) {
  // x_t = 0.8 x_{t−1} + z_t: ACF 0.8^k; PACF 0.8 at lag 1, then N(0, 1/m).
  std::vector<double> x = white_noise(2000, 10);
  for (std::size_t t = 1; t < x.size(); ++t) x[t] += 0.8 * x[t - 1];
  const Correlations out = correlations(x, x);
  for (const auto* pacf : {&out.d_pacf, &out.r_pacf}) {
    // The standard error of the estimated coefficient is √((1 − 0.8²)/m) = 0.0134. False alarms:
    // 30 comparisons of kFalseAlarm each.
    EXPECT_NEAR((*pacf)[1], 0.8, kStandardErrors * 0.0134);
    for (std::size_t lag = 2; lag <= kMaxLag; ++lag) {
      EXPECT_LT(std::abs((*pacf)[lag]), kStandardErrors / std::sqrt(2000.0)) << lag;
    }
  }
  EXPECT_GT(out.d_acf[2], 0.5);
}

TEST(Correlations, OfAShortSeriesEndWithIt) {
  // By hand: Σd² = 14; lag sums 2 + 6 = 8 and 3. r − r̄ = −1, 0, 1.
  const Correlations out = correlations(std::vector<double>{1, 2, 3}, std::vector<double>{4, 5, 6});
  EXPECT_EQ(out.m, 3U);
  EXPECT_NEAR(out.d_acf[0], 1, 1e-12);
  EXPECT_NEAR(out.d_acf[1], 8.0 / 14, 1e-12);
  EXPECT_NEAR(out.d_acf[2], 3.0 / 14, 1e-12);
  EXPECT_NEAR(out.d_pacf[1], 8.0 / 14, 1e-12);
  EXPECT_NEAR(out.d_pacf[2], (3.0 / 14 - 64.0 / 196) / (1 - 64.0 / 196), 1e-12);
  EXPECT_NEAR(out.cross[kMaxLag], (3 - 1) / (2 * std::sqrt(7)), 1e-12);
  EXPECT_NEAR(out.cross[kMaxLag + 1], -2 / (2 * std::sqrt(7)), 1e-12);  // d_{t+1} r_t
  for (const auto* lags : {&out.d_acf, &out.r_acf, &out.d_pacf, &out.r_pacf}) {
    EXPECT_TRUE(all_nan(*lags, 3));
    EXPECT_FALSE(std::isnan((*lags)[2]));
  }
  EXPECT_TRUE(std::isnan(out.cross[kMaxLag + 3]) && std::isnan(out.cross[kMaxLag - 3]));
  EXPECT_FALSE(std::isnan(out.cross[kMaxLag - 2]));
  EXPECT_TRUE(none_nan(correlations(white_noise(16, 11), white_noise(16, 12)).r_pacf));
}

TEST(Correlations, OfFewerThanTwoIterationsAreNan) {
  for (const std::size_t n : {0U, 1U}) {
    const Correlations out = correlations(std::vector<double>(n, 1.0), std::vector<double>(n, 2.0));
    EXPECT_EQ(out.m, n);
    EXPECT_TRUE(all_nan(out.cross));
    EXPECT_TRUE(all_nan(out.d_acf) && all_nan(out.d_pacf));
    EXPECT_TRUE(all_nan(out.r_acf) && all_nan(out.r_pacf));
  }
  EXPECT_TRUE(std::isnan(Correlations().white_noise_band()));
}

TEST(Correlations, OfASeriesThatDoesNotVaryAreNan) {
  const std::vector<double> noise = white_noise(100, 13);
  // 0.1 is not a binary fraction: the mean of a hundred of it is rounded.
  const Correlations constant_r = correlations(noise, std::vector<double>(100, 0.1));
  EXPECT_TRUE(all_nan(constant_r.cross) && all_nan(constant_r.r_acf) && all_nan(constant_r.r_pacf));
  EXPECT_TRUE(none_nan(constant_r.d_acf) && none_nan(constant_r.d_pacf));
  const Correlations zero_d = correlations(std::vector<double>(100, 0.0), noise);
  EXPECT_TRUE(all_nan(zero_d.cross) && all_nan(zero_d.d_acf) && all_nan(zero_d.d_pacf));
  EXPECT_TRUE(none_nan(zero_d.r_acf) && none_nan(zero_d.r_pacf));
  // Not centred, a constant d_s is not nothing.
  EXPECT_NEAR(correlations(std::vector<double>(100, 3.0), noise).d_acf[10], 0.9, 1e-12);
}

TEST(Correlations, OfAValueThatIsNotFiniteAreNan) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    std::vector<double> d = white_noise(100, 14);
    const std::vector<double> r = white_noise(100, 15);
    d[99] = bad;
    const Correlations out = correlations(d, r);
    EXPECT_TRUE(all_nan(out.cross) && all_nan(out.d_acf) && all_nan(out.d_pacf));
    EXPECT_TRUE(none_nan(out.r_acf) && none_nan(out.r_pacf));
  }
}

}  // namespace
}  // namespace ebm
