// The random words: the published generator, and where a stream looks in it.

#include "cuda/random/philox.cuh"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

namespace ebm {
namespace {

using Words = std::array<std::uint32_t, 4>;

Words as_array(const Words4& words) { return {words.v[0], words.v[1], words.v[2], words.v[3]}; }

TEST(Philox, KnownAnswers) {
  // philox4x32, 10 rounds, in Random123's kat_vectors.
  EXPECT_EQ(as_array(philox({{0, 0, 0, 0}}, 0)),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(as_array(philox({{kOnes, kOnes, kOnes, kOnes}}, 0xffffffffffffffff)),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      as_array(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822)),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, NeverChanges) {
  // Computed by an independent implementation. A run of any version is reproduced by every later
  // one only while these hold.
  const RandomStream langevin{.seed = 123, .purpose = Purpose::langevin, .iteration = 1000};
  EXPECT_EQ(as_array(langevin.words(499, 57, 767)),
            (Words{0x43c8817c, 0x87a39f9e, 0x74b7654b, 0x24bd5ee4}));
  const RandomStream landscape{
      .seed = 0x0123456789abcdef, .purpose = Purpose::landscape_langevin, .iteration = 0xffffffff};
  EXPECT_EQ(as_array(landscape.words(1, 2, 0xffffff)),
            (Words{0x62dde433, 0x99f38192, 0x77ebb2a6, 0xfe174766}));
}

/// The words that cuRAND's curand4 returns first after curand_init(seed, subsequence, offset) with
/// a curandStatePhilox4_32_10_t: the offset, in words, counts in the counter's low half, the
/// subsequence in its high half.
Words4 curand_words(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t offset) {
  const std::uint64_t block = offset / 4;
  return philox(
      {{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
        static_cast<std::uint32_t>(subsequence), static_cast<std::uint32_t>(subsequence >> 32)}},
      seed);
}

TEST(RandomStream, IsAPlaceInCurandsSequence) {
  // subsequence = step + 2^32·iteration, offset = 4·(group + 2^24·purpose + 2^32·chain); the offset
  // has 64 bits, so this holds for chains below 2^30.
  const std::uint64_t seed = 0xfedcba9876543210;
  for (const std::uint64_t iteration : {0U, 3U, 0xffffffffU}) {
    for (const std::uint64_t step : {0U, 499U, 0xffffffffU}) {
      for (const std::uint64_t chain : {0U, 99U, 0x3fffffffU}) {
        for (const std::uint64_t group : {0U, 767U, 0xffffffU}) {
          const RandomStream stream{.seed = seed,
                                    .purpose = Purpose::landscape_langevin,
                                    .iteration = static_cast<std::uint32_t>(iteration)};
          const auto purpose = static_cast<std::uint64_t>(stream.purpose);
          const Words4 words =
              stream.words(static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(chain),
                           static_cast<std::uint32_t>(group));
          EXPECT_EQ(as_array(words),
                    as_array(curand_words(seed, step + (iteration << 32),
                                          4 * (group + (purpose << 24) + (chain << 32)))));
        }
      }
    }
  }
}

TEST(RandomStream, NoTwoPlacesShareTheirWords) {
  // Philox is a bijection of the counter under a fixed key, so equal words would be equal counters.
  std::set<Words> seen;
  std::size_t places = 0;
  const std::array<std::uint32_t, 4> edges = {0, 1, 2, 0xffffffff};
  for (std::uint32_t purpose = 0;
       purpose <= static_cast<std::uint32_t>(Purpose::landscape_langevin); ++purpose) {
    for (const std::uint32_t iteration : edges) {
      const RandomStream stream{
          .seed = 1, .purpose = static_cast<Purpose>(purpose), .iteration = iteration};
      for (const std::uint32_t step : edges) {
        for (const std::uint32_t chain : edges) {
          for (const std::uint32_t group : {0U, 1U, 0xffffffU}) {
            seen.insert(as_array(stream.words(step, chain, group)));
            ++places;
          }
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), places);
}

TEST(RandomStream, BothHalvesOfTheSeedMatter) {
  std::set<Words> seen;
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 31, 1ULL << 32, 1ULL << 63}) {
    seen.insert(as_array(RandomStream{.seed = seed}.words(0, 0, 0)));
  }
  EXPECT_EQ(seen.size(), 5U);
}

}  // namespace
}  // namespace ebm
