// The persistent bank and data batches: which rows, and what happens to them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "cuda/mcmc/data_batches.h"
#include "cuda/mcmc/initial_states.h"
#include "cuda/mcmc/persistent_bank.h"

namespace ebm {
namespace {

constexpr std::int64_t kSize = 3;

/// A table whose rows are (row, row, row).
std::vector<float> numbered_rows(int rows) {
  std::vector<float> table;
  for (int row = 0; row < rows; ++row) {
    table.insert(table.end(), kSize, static_cast<float>(row));
  }
  return table;
}

std::set<std::vector<float>> rows_of(std::span<const float> states) {
  std::set<std::vector<float>> rows;
  for (auto at = states.begin(); at != states.end(); at += kSize) {
    rows.emplace(at, at + kSize);
  }
  return rows;
}

TEST(PersistentBank, StartsUniform) {
  const Buffer<float> states = initial_bank(1, 4000, kSize);
  const std::span<const float> x = states.span();
  EXPECT_EQ(x.size(), 4000U * kSize);
  EXPECT_TRUE(std::ranges::all_of(x, [](float v) { return std::abs(v) <= 1; }));
  const double n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  EXPECT_NEAR(mean, 0, 5 * std::sqrt(1 / (3 * n)));  // P(|z| > 5) = 6e-7
}

/// A bank and its states.
struct Bank {
  explicit Bank(std::int64_t rows)
      : states(initial_bank(1, rows, kSize)), bank(Queue(), 1, states.span(), kSize) {}

  Buffer<float> states;
  PersistentBank bank;
};

TEST(PersistentBank, PutsBackWhereItDrew) {
  Bank all(50);
  EXPECT_EQ(all.bank.rows(), 50);
  const std::set<std::vector<float>> before = rows_of(all.states.span());
  std::vector<float> chains(20 * kSize);
  all.bank.draw(7, 20, chains.data());
  const std::set<std::vector<float>> drawn = rows_of(chains);
  EXPECT_EQ(drawn.size(), 20U);  // distinct rows
  EXPECT_TRUE(std::ranges::includes(before, drawn));
  for (float& x : chains) {
    x += 10;
  }
  const std::uint32_t stopped = 1;
  all.bank.put(chains.data(), &stopped);
  EXPECT_EQ(rows_of(all.states.span()), before);
  all.bank.put(chains.data());
  std::set<std::vector<float>> expected = rows_of(chains);
  std::ranges::set_difference(before, drawn, std::inserter(expected, expected.end()));
  EXPECT_EQ(rows_of(all.states.span()), expected);
}

TEST(PersistentBank, PeekLeavesTheBankAndTheLastDrawAlone) {
  Bank peeked(50);
  Bank untouched(50);
  std::vector<float> chains(10 * kSize);
  peeked.bank.draw(3, 10, chains.data());
  untouched.bank.draw(3, 10, chains.data());
  std::vector<float> all(50 * kSize);
  peeked.bank.peek(Purpose::landscape_rows, 3, 50, all.data());
  EXPECT_EQ(rows_of(all), rows_of(peeked.states.span()));
  peeked.bank.put(numbered_rows(10).data());
  untouched.bank.put(numbered_rows(10).data());
  EXPECT_TRUE(std::ranges::equal(peeked.states.span(), untouched.states.span()));
}

TEST(ImageBatches, AreDistinctRowsAndEveryRowComes) {
  const std::vector<float> images = numbered_rows(30);
  ImageBatches batches(Queue(), 5, images, kSize, 0.0F);
  std::vector<int> seen(30);
  std::vector<float> batch(10 * kSize);
  for (std::uint32_t iteration = 1; iteration <= 300; ++iteration) {
    batches.draw(DataUse::batch, iteration, 10, batch.data());
    const auto rows = rows_of(batch);
    EXPECT_EQ(rows.size(), 10U);
    for (const std::vector<float>& row : rows) {
      ++seen[static_cast<std::size_t>(row[0])];
    }
  }
  // Each count is binomial(300, 1/3): mean 100, standard deviation 8.2; 30 rows beyond 5.5 of them
  // have a chance of 1e-6.
  for (const int count : seen) {
    EXPECT_NEAR(count, 100, 45);
  }
}

TEST(ImageBatches, AreAFunctionOfSeedUseAndIteration) {
  const std::vector<float> images = numbered_rows(1000);
  const auto draw = [&](std::uint64_t seed, DataUse use, std::uint32_t iteration) {
    std::vector<float> batch(20 * kSize);
    ImageBatches(Queue(), seed, images, kSize, 0.1F).draw(use, iteration, 20, batch.data());
    return batch;
  };
  const std::vector<float> first = draw(1, DataUse::batch, 1);
  EXPECT_EQ(draw(1, DataUse::batch, 1), first);
  EXPECT_NE(draw(2, DataUse::batch, 1), first);
  EXPECT_NE(draw(1, DataUse::initial_states, 1), first);
  EXPECT_NE(draw(1, DataUse::longrun, 1), first);
  EXPECT_NE(draw(1, DataUse::batch, 2), first);
}

TEST(ImageBatches, NoiseHasItsStandardDeviation) {
  const std::vector<float> images(kSize * 20'000);
  ImageBatches batches(Queue(), 5, images, kSize, 0.03F);
  std::vector<float> batch(images.size());
  batches.draw(DataUse::batch, 1, 20'000, batch.data());
  double square = 0;
  for (const float x : batch) {
    square += static_cast<double>(x) * static_cast<double>(x);
  }
  const double n = static_cast<double>(batch.size());
  const double variance = 0.03 * 0.03;
  EXPECT_NEAR(square / n, variance, 5 * variance * std::sqrt(2 / n));  // P = 6e-7
}

TEST(ToyBatches, AreFreshForEveryUseAndIteration) {
  ToyBatches batches(Queue(), 5, {});
  const auto draw = [&](DataUse use, std::uint32_t iteration) {
    std::vector<float> states(10);
    batches.draw(use, iteration, 5, states.data());
    return states;
  };
  EXPECT_EQ(draw(DataUse::batch, 1), draw(DataUse::batch, 1));
  EXPECT_NE(draw(DataUse::batch, 1), draw(DataUse::batch, 2));
  EXPECT_NE(draw(DataUse::batch, 1), draw(DataUse::initial_states, 1));
  EXPECT_NE(draw(DataUse::longrun, 1), draw(DataUse::initial_states, 1));
}

/// What a batch of 12 draws in shards of 5 and 7.
template <class Draw>
void expect_same_in_shards(const Draw& draw) {
  constexpr std::int64_t kBatch = 12;
  std::vector<float> whole(kBatch * 2);
  std::vector<float> parts(whole.size());
  draw(Shard(kBatch), whole.data());
  draw(Shard(0, 5, kBatch), parts.data());
  draw(Shard(5, 7, kBatch), parts.data() + 5 * 2);
  EXPECT_EQ(parts, whole);
}

TEST(Shards, DrawWhatTheWholeBatchDraws) {
  std::vector<float> images(60);
  std::iota(images.begin(), images.end(), 0.0F);
  ToyBatches toy(Queue(), 5, {});
  ImageBatches noisy(Queue(), 5, images, 2, 0.1F);
  Buffer<float> states = initial_bank(1, 30, 2);
  PersistentBank bank(Queue(), 1, states.span(), 2);
  for (DataBatches* data : {static_cast<DataBatches*>(&toy), static_cast<DataBatches*>(&noisy)}) {
    expect_same_in_shards(
        [&](const Shard& shard, float* x) { data->draw(DataUse::batch, 3, shard, x); });
  }
  for (const InitialStates init : {InitialStates::persistent, InitialStates::data,
                                   InitialStates::uniform, InitialStates::gaussian}) {
    const Starts starts{.init = init, .seed = 7, .data = &noisy, .bank = &bank};
    for (const DataUse use : {DataUse::initial_states, DataUse::longrun}) {
      expect_same_in_shards(
          [&](const Shard& shard, float* x) { starts.draw(Queue(), use, 3, shard, x); });
    }
  }
}

}  // namespace
}  // namespace ebm
