// Draws of distinct rows: permutations, and about equally likely ones.

#include "cuda/random/distinct_rows.cuh"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "tests/support/statistics.h"

namespace ebm {
namespace {

RandomStream stream(std::uint32_t iteration, Purpose purpose = Purpose::data_rows) {
  return {.seed = 123, .purpose = purpose, .iteration = iteration};
}

std::vector<std::uint32_t> draw(const RandomStream& stream, std::uint32_t count,
                                std::uint32_t first) {
  const DistinctRows rows(stream, count);
  std::vector<std::uint32_t> drawn;
  for (std::uint32_t i = 0; i < first; ++i) {
    drawn.push_back(rows(i));
  }
  return drawn;
}

bool is_permutation(const std::vector<std::uint32_t>& drawn) {
  std::vector<bool> seen(drawn.size());
  for (const std::uint32_t row : drawn) {
    if (row >= drawn.size() || seen[row]) {
      return false;
    }
    seen[row] = true;
  }
  return true;
}

TEST(DistinctRows, IsAPermutation) {
  for (std::uint32_t count = 1; count <= 300; ++count) {
    for (std::uint32_t iteration = 0; iteration < 5; ++iteration) {
      EXPECT_TRUE(is_permutation(draw(stream(iteration), count, count))) << count;
    }
  }
  // The training sets and bank of the published runs, and both sides of a power of 4.
  for (const std::uint32_t count : {8189U, 10'000U, 50'000U, 60'000U, 65'535U, 65'536U, 65'537U}) {
    EXPECT_TRUE(is_permutation(draw(stream(0), count, count))) << count;
  }
}

TEST(DistinctRows, ReachesTheLargestTable) {
  // No table of 2^31 rows is made for this, nor is one gone through.
  constexpr std::uint32_t kCount = 1U << 31;
  const std::vector<std::uint32_t> drawn = draw(stream(0), kCount, 10'000);
  EXPECT_EQ(std::set<std::uint32_t>(drawn.begin(), drawn.end()).size(), drawn.size());
  for (const std::uint32_t row : drawn) {
    ASSERT_LT(row, kCount);
  }
  EXPECT_LT(DistinctRows(stream(0), kCount)(kCount - 1), kCount);
}

TEST(DistinctRows, IsAFunctionOfTheStreamAlone) {
  EXPECT_EQ(draw(stream(7), 1000, 1000), draw(stream(7), 1000, 1000));
}

TEST(DistinctRows, DiffersBetweenIterationsPurposesAndSeeds) {
  RandomStream other_seed = stream(0);
  ++other_seed.seed;
  std::set<std::vector<std::uint32_t>> draws;
  for (const RandomStream& each :
       {stream(0), stream(1), stream(0, Purpose::bank_rows), other_seed}) {
    draws.insert(draw(each, 1000, 100));
  }
  EXPECT_EQ(draws.size(), 4U);
}

TEST(DistinctRows, PermutationsOfFourAreAboutEquallyLikely) {
  // Eight rounds on two bits, were the round functions truly random, give each permutation within
  // 1.6% of its share, which adds 2.9 to the expectation of χ² (23). False alarm: kFalseAlarm.
  constexpr std::uint32_t kDraws = 24'000;
  std::map<std::vector<std::uint32_t>, double> counts;
  for (std::uint32_t iteration = 0; iteration < kDraws; ++iteration) {
    ++counts[draw(stream(iteration), 4, 4)];
  }
  ASSERT_EQ(counts.size(), 24U);
  std::vector<double> observed;
  observed.reserve(counts.size());
  for (const auto& [permutation, count] : counts) {
    observed.push_back(count);
  }
  EXPECT_LT(chi_square_uniform(observed), chi_square_bound(23));
}

TEST(DistinctRows, EveryRowIsEquallyLikelyAtEveryPosition) {
  // Also every ordered pair of rows at the first two. False alarms: kFalseAlarm each.
  constexpr std::uint32_t kDraws = 24'000;
  for (const std::uint32_t count : {3U, 5U, 16U, 17U}) {
    std::vector<std::vector<double>> at(count, std::vector<double>(count));
    std::vector<std::vector<double>> pairs(count, std::vector<double>(count));
    for (std::uint32_t iteration = 0; iteration < kDraws; ++iteration) {
      const auto drawn = draw(stream(iteration), count, count);
      for (std::uint32_t i = 0; i < count; ++i) {
        ++at[i][drawn[i]];
      }
      ++pairs[drawn[0]][drawn[1]];
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_LT(chi_square_uniform(at[i]), chi_square_bound(count - 1)) << count << " at " << i;
    }
    std::vector<double> ordered_pairs;
    for (std::uint32_t i = 0; i < count; ++i) {
      for (std::uint32_t j = 0; j < count; ++j) {
        if (i != j) {
          ordered_pairs.push_back(pairs[i][j]);
        }
      }
    }
    EXPECT_LT(chi_square_uniform(ordered_pairs), chi_square_bound(ordered_pairs.size() - 1))
        << count;
  }
}

TEST(DistinctRows, BatchesCoverALargeTableEvenly) {
  // 1,000 batches of 100 rows out of 60,000, in 100 bins. Distinct rows are spread more evenly than
  // independent ones, so the false alarm is at most kFalseAlarm.
  std::vector<double> bins(100);
  for (std::uint32_t iteration = 0; iteration < 1000; ++iteration) {
    for (const std::uint32_t row : draw(stream(iteration), 60'000, 100)) {
      ++bins[row / 600];
    }
  }
  EXPECT_LT(chi_square_uniform(bins), chi_square_bound(99));
}

}  // namespace
}  // namespace ebm
