#include "host/parse_number.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace ebm {
namespace {

TEST(ParseNumber, TakesTheWholeTextOrNothing) {
  EXPECT_EQ(parse_number<int>("-12"), -12);
  EXPECT_EQ(parse_number<std::int64_t>("000100"), 100);
  EXPECT_EQ(parse_number<double>("1e-3"), 0.001);
  EXPECT_EQ(parse_number<std::uint64_t>("18446744073709551615"),
            std::numeric_limits<std::uint64_t>::max());
  for (const std::string text : {"", "+1", " 1", "1 ", "1x", "1.5", "0x10", "2147483648", "-"}) {
    EXPECT_FALSE(parse_number<int>(text)) << text;
  }
  EXPECT_FALSE(parse_number<std::uint64_t>("-1"));
  EXPECT_FALSE(parse_number<double>("1e999"));
  EXPECT_FALSE(parse_number<double>("1,5"));
}

TEST(ParseNumbers, TakesOneSeparatorBetweenAndNoneElsewhere) {
  EXPECT_EQ(parse_numbers<int>("7", ' '), std::vector{7});
  EXPECT_EQ(parse_numbers<int>("1 -2 3", ' '), (std::vector{1, -2, 3}));
  for (const std::string text : {"", " ", "1 ", " 1", "1  2", "1,2", "1 x"}) {
    EXPECT_FALSE(parse_numbers<int>(text, ' ')) << text;
  }
}

}  // namespace
}  // namespace ebm
