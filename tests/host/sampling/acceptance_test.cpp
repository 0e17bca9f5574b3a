#include "host/sampling/acceptance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>

#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

/// 2Φ(−Kε³/2), of the best step size 1.
double rate_of(double epsilon) {
  const double best = 0.5622;  // Φ⁻¹(1 − 0.574/2)
  return std::erfc(best * epsilon * epsilon * epsilon / std::sqrt(2.0));
}

TEST(Acceptance, TheSuggestedStepSizeIsTheBest) {
  for (const double epsilon : {0.2, 0.5, 1.0, 1.3, 1.6}) {
    EXPECT_NEAR(suggested_epsilon(epsilon, rate_of(epsilon)), 1, 1e-3) << epsilon;
  }
  EXPECT_NEAR(suggested_epsilon(0.01, 0.574), 0.01, 1e-6);
  EXPECT_NEAR(suggested_epsilon(0.3, 1), 3, 1e-12);  // ten times, and no more
  EXPECT_LT(suggested_epsilon(0.3, 0), 0.15);
  EXPECT_GE(suggested_epsilon(0.3, 0), 0.03);
}

TEST(Acceptance, IsTooLowOrTooHighOverAHundredStepsAndSaidOnce) {
  for (const double share : {0.05, 0.99}) {
    AcceptanceWatch watch(0.1);
    int said = 0;
    for (int step = 1; step <= 500; ++step) {
      const std::optional<std::string> advice = watch.add(share);
      said += advice ? 1 : 0;
      EXPECT_EQ(advice.has_value(), step == 100) << step;
      if (advice) {
        EXPECT_TRUE(mentions(
            *advice,
            {share < 0.5 ? "5.0%" : "99.0%", "last 100 steps",
             share < 0.5 ? "too large" : "too small",
             share < 0.5 ? "sample.epsilon: 0.066" : "sample.epsilon: 0.36", "instead of 0.1"}));
      }
    }
    EXPECT_EQ(said, 1);
  }
}

TEST(Acceptance, OfTheLastHundredStepsCounts) {
  AcceptanceWatch watch(0.1);
  for (int step = 0; step < 100; ++step) {
    EXPECT_FALSE(watch.add(0.5));
  }
  // 50 steps of 0.5 and 50 of 1 are 0.75; 10 and 90 are 0.95; 9 and 91 are above.
  for (int step = 0; step < 90; ++step) {
    EXPECT_FALSE(watch.add(1)) << step;
  }
  EXPECT_TRUE(watch.add(1));
  EXPECT_FALSE(watch.add(1));
}

TEST(Acceptance, InBetweenNothingIsSaid) {
  for (const double share : {0.1001, 0.574, 0.9499}) {
    AcceptanceWatch watch(0.1);
    for (int step = 0; step < 300; ++step) {
      EXPECT_FALSE(watch.add(share)) << share;
    }
  }
}

}  // namespace
}  // namespace ebm
