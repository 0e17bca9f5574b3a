// Runs a target over its seeds, and over copies of them that are cut short or damaged: always the
// same ones.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/base/errors.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/hostile_input.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

struct Seed {
  std::string name;
  std::string bytes;
};

std::vector<Seed> seeds() {
  std::vector<Seed> found;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    found.push_back({entry.path().filename().string(), read_bytes(entry.path())});
  }
  std::ranges::sort(found, {}, &Seed::name);
  return found;
}

/// Whether the reader took the bytes. A test that it fails says of which seed they were made.
bool is_read(std::string_view bytes, std::string_view origin) {
  try {
    read_hostile(std::as_bytes(std::span(bytes)));
    return true;
  } catch (const ConfigurationError&) {
    return false;
  } catch (const InputFileError&) {
    return false;
  } catch (const std::exception& error) {
    ADD_FAILURE() << origin << ": the reader threw \"" << error.what() << '"';
    return false;
  }
}

/// One small damage: a bit, a byte, or a few bytes that are removed or repeated.
std::string damaged(std::string bytes, std::mt19937& random) {
  const std::size_t place = random() % bytes.size();
  const std::size_t length = std::min<std::size_t>(1 + random() % 8, bytes.size() - place);
  switch (random() % 4) {
    case 0:
      bytes[place] = static_cast<char>(bytes[place] ^ 1 << random() % 8);
      break;
    case 1:
      bytes[place] = static_cast<char>(random());
      break;
    case 2:
      bytes.erase(place, length);
      break;
    default:
      bytes.insert(place, std::string(bytes, place, length));
  }
  return bytes;
}

TEST(HostileInput, SeedsAreReadUnlessNamedRefused) {
  const std::vector<Seed> all = seeds();
  ASSERT_TRUE(
      std::ranges::any_of(all, [](const Seed& s) { return !s.name.starts_with("refused"); }));
  for (const Seed& seed : all) {
    EXPECT_EQ(is_read(seed.bytes, seed.name), !seed.name.starts_with("refused")) << seed.name;
  }
}

TEST(HostileInput, CutSeedsAreReadOrRefused) {
  constexpr std::size_t kMostCuts = 500;
  for (const Seed& seed : seeds()) {
    const std::size_t step = 1 + seed.bytes.size() / kMostCuts;
    for (std::size_t size = 0; size < seed.bytes.size(); size += step) {
      is_read(seed.bytes.substr(0, size), fmt::format("{} cut to {} bytes", seed.name, size));
    }
  }
}

TEST(HostileInput, DamagedSeedsAreReadOrRefused) {
  constexpr int kCopies = 500;
  std::mt19937 random(1);  // NOLINT: the same damages every time
  for (const Seed& seed : seeds()) {
    for (int copy = 0; copy < kCopies && !seed.bytes.empty(); ++copy) {
      std::string bytes = damaged(seed.bytes, random);
      for (auto more = random() % 3; more > 0 && !bytes.empty(); --more) {
        bytes = damaged(std::move(bytes), random);
      }
      is_read(bytes, fmt::format("{}, damaged copy {}", seed.name, copy));
    }
  }
}

}  // namespace
}  // namespace ebm
