// Sorting and ranking against their definitions, on either device.

#include "cuda/diagnostics/ranks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/kernel_launch.h"
#include "tests/support/threads.h"

namespace ebm {
namespace {

template <class Function>
auto on_tested_queue(const Function& function) {
  decltype(function(Queue())) result;
  run_kernel([&](KernelMemory& /*memory*/, const auto&... stream) {
    result = function(Queue(stream...));
  });
  return result;
}
std::vector<std::int64_t> tested_ranks(const std::vector<double>& values) {
  return on_tested_queue([&](const Queue& queue) { return doubled_ranks(values, queue); });
}

/// `size` of `distinct` values, of either sign.
std::vector<double> some_values(std::size_t size, int distinct) {
  std::mt19937 words(5);
  std::uniform_int_distribution<int> number(0, distinct - 1);
  std::vector<double> values(size);
  for (double& value : values) value = (number(words) - distinct / 2) * 0.37;
  return values;
}

TEST(Ranks, AreThoseOfTheDefinition) {
  EXPECT_EQ(tested_ranks({3, 1, 2}), (std::vector<std::int64_t>{6, 2, 4}));
  EXPECT_EQ(tested_ranks({7, 7, 7, 7}), (std::vector<std::int64_t>{5, 5, 5, 5}));
  EXPECT_EQ(tested_ranks({2, -1, 2, 5}), (std::vector<std::int64_t>{5, 2, 5, 8}));
  EXPECT_EQ(tested_ranks({0.0, -0.0, 1}), (std::vector<std::int64_t>{3, 3, 6})) << "equal zeros";
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(tested_ranks({kInfinity, 0, -kInfinity}), (std::vector<std::int64_t>{6, 4, 2}));
  EXPECT_EQ(tested_ranks({4}), std::vector<std::int64_t>{2});
  EXPECT_EQ(tested_ranks({}), std::vector<std::int64_t>{});
}

TEST(Ranks, CountWhatIsSmallerAndEqual) {
  for (const int distinct : {1, 7, 100'000}) {
    const std::vector<double> values = some_values(3000, distinct);
    const std::vector<std::int64_t> ranks = tested_ranks(values);
    for (std::size_t i = 0; i < values.size(); i += 61) {
      const auto smaller = std::ranges::count_if(values, [&](double x) { return x < values[i]; });
      const auto equal = std::ranges::count(values, values[i]);
      EXPECT_EQ(ranks[i], 2 * smaller + equal + 1) << distinct << " " << i;
    }
  }
}

TEST(Ranks, OfManyAddUp) {  // so many that threads share them
  const std::vector<double> values = some_values(300'000, 1000);
  const std::vector<std::int64_t> ranks = tested_ranks(values);
  std::int64_t sum = 0;
  for (const std::int64_t rank : ranks) sum += rank;
  EXPECT_EQ(sum, std::int64_t{300'000} * 300'001);
  for (std::size_t i = 1; i < values.size(); ++i) {
    ASSERT_EQ(values[i] < values[i - 1], ranks[i] < ranks[i - 1]) << i;
  }
}

TEST(Ranks, SortAsTheStandardLibraryDoes) {
  for (const std::size_t size : {0U, 1U, 2U, 1000U, 100'000U}) {
    std::vector<double> values = some_values(size, 1'000'000);
    const auto out = on_tested_queue([&](const Queue& queue) { return sorted(values, queue); });
    std::ranges::sort(values);
    EXPECT_EQ(out, values);
  }
}

TEST(Ranks, NormalScoresAreBlomsOnEitherDevice) {
  const std::vector<double> values{10, -3, 4, 4};
  const auto scores =
      on_tested_queue([&](const Queue& queue) { return normal_scores(values, queue); });
  const std::vector<double> ranks{4, 1, 2.5, 2.5};
  ASSERT_EQ(scores.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(std::erfc(-scores[i] / std::sqrt(2.0)) / 2, (ranks[i] - 0.375) / 4.25, 1e-12);
  }
}

TEST(Ranks, AreTheSameBitsForAnyNumberOfThreads) {
  const std::vector<double> values = some_values(50'000, 3000);
  const auto compute = [&](int count) {
    const Threads threads(count);
    std::vector<double> all = sorted(values);
    const std::vector<double> scores = normal_scores(values);
    all.insert(all.end(), scores.begin(), scores.end());
    return all;
  };
  const std::vector<double> one = compute(1);
  EXPECT_EQ(compute(2), one);
  EXPECT_EQ(compute(5), one);
}

TEST(Quantile, IsNumPys) {
  EXPECT_EQ(quantile(std::vector<double>{1, 2, 4}, 0.5), 2);
  EXPECT_EQ(quantile(std::vector<double>{1, 2, 4, 8}, 0.5), 3);
  EXPECT_EQ(quantile(std::vector<double>{1, 2, 4, 8}, 1), 8);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{1, 2, 4, 8}, 0.05), 1.15);
  EXPECT_EQ(quantile(std::vector<double>{6}, 0.95), 6);
}

}  // namespace
}  // namespace ebm
