#include "host/scoring/auroc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/numbers.h"

namespace ebm {
namespace {

/// Every pair, one by one.
double by_brute_force(const std::vector<float>& negatives, const std::vector<float>& positives) {
  double wins = 0;
  for (const float low : negatives) {
    for (const float high : positives) {
      wins += high > low ? 1 : high == low ? 0.5 : 0;
    }
  }
  return wins / static_cast<double>(negatives.size() * positives.size());
}

TEST(Auroc, IsTheShareOfPairsInOrder) {
  EXPECT_EQ(auroc(std::vector<float>{1, 2}, std::vector<float>{3, 4}), 1);
  EXPECT_EQ(auroc(std::vector<float>{3, 4}, std::vector<float>{1, 2}), 0);
  EXPECT_EQ(auroc(std::vector<float>{5}, std::vector<float>{5, 5}), 0.5);
  EXPECT_EQ(auroc(std::vector<float>{1, 3}, std::vector<float>{2, 3}), 0.625);
  EXPECT_EQ(auroc(std::vector<float>{-kInfinity, 0}, std::vector<float>{kInfinity, -kInfinity}),
            0.625);
}

TEST(Auroc, MeetsBruteForceWithTies) {
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    for (const float values : {2.0F, 20.0F, 1e6F}) {  // so many: nearly all tied, to none
      std::vector<float> negatives = numbers(157, seed, values);
      std::vector<float> positives = numbers(211, seed + 10, values * 1.3F);
      for (std::vector<float>* set : {&negatives, &positives}) {
        for (float& value : *set) {
          value = std::round(value);
        }
      }
      EXPECT_DOUBLE_EQ(auroc(negatives, positives), by_brute_force(negatives, positives));
      EXPECT_DOUBLE_EQ(auroc(negatives, positives) + auroc(positives, negatives), 1);
    }
  }
}

TEST(Auroc, IsNaNWhereNothingCanBeSaid) {
  EXPECT_TRUE(std::isnan(auroc({}, std::vector<float>{1})));
  EXPECT_TRUE(std::isnan(auroc(std::vector<float>{1}, {})));
  EXPECT_TRUE(std::isnan(auroc(std::vector<float>{1, kNan}, std::vector<float>{1})));
  EXPECT_TRUE(std::isnan(auroc(std::vector<float>{1}, std::vector<float>{kNan, 1})));
}

}  // namespace
}  // namespace ebm
