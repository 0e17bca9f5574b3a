// More chains than a device runs blocks of at a time, through a kernel: 700 together against the
// same in groups of 7, bit for bit. On a GPU of 132 processors, the chains of a toy network are 264
// blocks and those of another perceptron 396, which take one chain after the other; on the emulated
// one of 8 they are 16 and 24, and no block of a group has more than one.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/numbers.h"

namespace ebm {

inline constexpr int kChains = 700;
inline constexpr int kGroup = 7;

using Floats = std::vector<float>;
/// What a kernel leaves: arrays of so many values a chain, chain after chain.
using Results = std::vector<Floats>;

inline std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// The values of the chains [first, first + count).
template <class T>
std::vector<T> part(const std::vector<T>& all, int first, int count) {
  const std::size_t each = all.size() / kChains;
  const auto begin = all.begin() + std::ptrdiff_t(size(first) * each);
  return {begin, begin + std::ptrdiff_t(size(count) * each)};
}

/// n values of −2, −1, 0, 1 and 2: sums of some thousands of their products are exact, in any
/// order.
inline Floats small_integers(std::int64_t n, std::uint32_t seed) {
  Floats values = numbers(size(n), seed, 2.5F);
  for (float& value : values) {
    value = std::round(value);
  }
  return values;
}

/// run(first, count) gives the same results for all chains as for one group after the other.
template <class Run>
void expect_same_in_groups(const Run& run) {
  const Results together = run(0, kChains);
  for (int first = 0; first < kChains; first += kGroup) {
    const Results group = run(first, kGroup);
    for (std::size_t i = 0; i < group.size(); ++i) {
      ASSERT_FALSE(group[i].empty());
      ASSERT_EQ(group[i], part(together[i], first, kGroup)) << "result " << i << ", from " << first;
    }
  }
}

/// The same of sums over chains: those of the groups add up to that of all.
template <class Run>
void expect_sum_of_groups(const Run& run) {
  const Results together = run(0, kChains);
  Results sums;
  for (int first = 0; first < kChains; first += kGroup) {
    const Results group = run(first, kGroup);
    sums.resize(group.size());
    for (std::size_t i = 0; i < group.size(); ++i) {
      sums[i].resize(group[i].size());
      for (std::size_t j = 0; j < group[i].size(); ++j) {
        sums[i][j] += group[i][j];
      }
    }
  }
  EXPECT_EQ(together, sums);
}

}  // namespace ebm
