#include "host/output/diagnosis.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/base/errors.h"
#include "cuda/diagnostics/correlations.h"
#include "host/output/diagnostics_csv.h"
#include "host/output/plot.h"
#include "tests/support/png_pixels.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;

/// The lines of diagnostics.csv for these d_s; r_s = 1 + d_s².
std::string diagnostics_of(const std::vector<double>& d_s) {
  std::ostringstream text;
  text << kDiagnosticsHeader << '\n';
  for (std::size_t i = 0; i < d_s.size(); ++i) {
    text << i + 1 << ',' << d_s[i] << ',' << 1 + d_s[i] * d_s[i] << ",0.1,2,3\n";
  }
  return text.str();
}

std::vector<double> waves(std::size_t n) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) {
    const auto t = static_cast<double>(i);
    values.push_back(std::sin(0.9 * t) + 20 * std::exp(-t / 5));
  }
  return values;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(DiagnosticsCsv, IsReadAsItWasWritten) {
  const TemporaryFolder folder;
  write_bytes(folder / "d.csv", std::string(kDiagnosticsHeader) +
                                    "\n1,-10.9,0.0125,0.1,5,7\n2,1e-3,inf,0.1,-1e9,nan\n"
                                    "3,-nan,2,0.1,0,0\n");
  const Diagnostics read = read_diagnostics(folder / "d.csv");
  ASSERT_EQ(read.d_s.size(), 3U);
  EXPECT_EQ(read.d_s[0], -10.9);
  EXPECT_EQ(read.d_s[1], 0.001);
  EXPECT_TRUE(std::isnan(read.d_s[2]));
  EXPECT_EQ(read.r_s[0], 0.0125);
  EXPECT_TRUE(std::isinf(read.r_s[1]));
  EXPECT_FALSE(read.is_cut);
}

TEST(DiagnosticsCsv, OfAnOlderVersionHasFourColumns) {
  const TemporaryFolder folder;
  write_bytes(folder / "d.csv", "iteration,d_s,r_s,learning_rate\n1,-10.9,0.0125,0.1\n");
  const Diagnostics read = read_diagnostics(folder / "d.csv");
  EXPECT_EQ(read.d_s, std::vector<double>{-10.9});
  EXPECT_EQ(read.r_s, std::vector<double>{0.0125});
}

TEST(DiagnosticsCsv, ACutLastLineIsLeftOut) {
  const TemporaryFolder folder;
  const std::string whole = diagnostics_of(waves(3));
  const std::size_t last_line = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t size = last_line + 1; size < whole.size(); ++size) {
    write_bytes(folder / "d.csv", whole.substr(0, size));
    const Diagnostics read = read_diagnostics(folder / "d.csv");
    EXPECT_EQ(read.d_s.size(), 2U) << size;
    EXPECT_TRUE(read.is_cut) << size;
  }
}

TEST(DiagnosticsCsv, WhatIsMalformedIsNamedWithItsLine) {
  struct Case {
    std::string text;
    std::vector<std::string> says;
  };
  const std::string header = std::string(kDiagnosticsHeader) + "\n";
  const std::string older = std::string(kOlderDiagnosticsHeader) + "\n";
  const std::string first = "1,0.5,0.1,0.1,3,2.5\n";
  const std::vector<Case> cases{
      {"", {"header"}},
      {"iteration,d_s\n1,2\n", {"line 1"}},
      {header + "1,0.5,0.1,0.1\n", {"line 2", "6 numbers"}},
      {older + first, {"line 2", "4 numbers"}},
      {header + first + "2,0.5,0.1,0.1,3,2.5,7\n", {"line 3", "iteration 2"}},
      {header + first + "2,0.5x,0.1,0.1,3,2.5\n", {"line 3", "0.5x"}},
      {header + first + "2,,0.1,0.1,3,2.5\n", {"line 3"}},
      {header + first + "3,0.5,0.1,0.1,3,2.5\n", {"line 3", "iteration 2"}},
      {header + first + "\n", {"line 3"}},
      {header + first + "2,0.5,0.1,0.1,3,2.5\r\n", {"line 3"}},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    write_bytes(folder / "d.csv", c.text);
    const std::string message =
        message_of<InputFileError>([&] { read_diagnostics(folder / "d.csv"); });
    EXPECT_TRUE(mentions(message, c.says)) << message;
    EXPECT_TRUE(mentions(message, {"d.csv"})) << message;
  }
  EXPECT_THROW(read_diagnostics(folder / "none.csv"), InputFileError);
}

TEST(Diagnosis, TheTableHoldsTheCorrelations) {
  const TemporaryFolder folder;
  const std::vector<double> d = waves(10);
  const std::vector<double> r(10, 0.5);  // constant: no correlations
  EXPECT_EQ(write_diagnosis(folder.path(), d, r), folder / "diagnosis.gp");
  const std::vector<std::string> lines = lines_of(read_bytes(folder / "correlations.csv"));
  ASSERT_EQ(lines.size(), 32U);
  EXPECT_EQ(lines[0], "lag,cross_correlation,d_s_acf,r_s_acf,d_s_pacf,r_s_pacf,band,iterations");
  EXPECT_TRUE(lines[1].starts_with("-15,nan,nan,nan,nan,nan,0.61980")) << lines[1];
  EXPECT_TRUE(lines[16].starts_with("0,nan,1,nan,1,nan,")) << lines[16];
  EXPECT_TRUE(lines[31].starts_with("15,nan,nan,nan,nan,nan,")) << lines[31];  // 10 iterations
  std::istringstream lag_1(lines[17]);
  std::string cell;
  for (int column = 0; column < 3; ++column) std::getline(lag_1, cell, ',');
  EXPECT_NEAR(std::stod(cell), correlations(d, r).d_acf[1], 1e-8);
  EXPECT_TRUE(lines[31].ends_with(",10"));
}

TEST(Diagnosis, ARestyledScriptStays) {
  const TemporaryFolder folder;
  write_bytes(folder / "diagnosis.gp", "# mine\n");
  write_diagnosis(folder.path(), waves(10), waves(10));
  EXPECT_EQ(read_bytes(folder / "diagnosis.gp"), "# mine\n");
}

/// Two iterations; lags that are missing; a pixel for each; decimated, the last bin not full; and
/// what a constant or diverged run leaves.
TEST(Diagnosis, IsDrawnForEveryKindOfRun) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  std::vector<std::vector<double>> runs{
      waves(2), waves(10), waves(1500), waves(20'001), std::vector<double>(50, 0.0), waves(50)};
  runs.back().back() = std::nan("");
  for (const std::vector<double>& d : runs) {
    const TemporaryFolder folder;
    write_bytes(folder / "diagnostics.csv", diagnostics_of(d));
    const Diagnostics read = read_diagnostics(folder / "diagnostics.csv");
    const fs::path script = write_diagnosis(folder.path(), read.d_s, read.r_s);
    const auto failure =
        draw_plot(script, std::chrono::steady_clock::now() + std::chrono::minutes(1));
    EXPECT_FALSE(failure) << *failure << ", " << d.size() << " iterations";
    EXPECT_TRUE(read_bytes(folder / "diagnosis.png").starts_with("\x89PNG"));
    const std::string pdf = read_bytes(folder / "diagnosis.pdf");
    EXPECT_TRUE(pdf.starts_with("%PDF"));
    EXPECT_LT(pdf.size(), 200'000U);  // of a long run as well
  }
}

TEST(Diagnosis, NumbersOfAnySizeFitBesideTheirAxis) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  for (const double size : {3.0, 3e4, 3e5, 2.6e6, 3e8, 1e12}) {
    const TemporaryFolder folder;
    std::vector<double> d;
    for (const double wave : waves(100)) d.push_back(-size * (1 + 0.1 * wave));
    write_bytes(folder / "diagnostics.csv", diagnostics_of(d));
    const Diagnostics read = read_diagnostics(folder / "diagnostics.csv");
    const fs::path script = write_diagnosis(folder.path(), read.d_s, read.r_s);
    const auto failure =
        draw_plot(script, std::chrono::steady_clock::now() + std::chrono::minutes(1));
    ASSERT_FALSE(failure) << *failure;
    const PngPixels picture = read_png_pixels(folder / "diagnosis.png");
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < 4; ++x) {
        EXPECT_EQ(picture.at(y, x), (std::array<std::uint8_t, 3>{255, 255, 255}))
            << "about " << -size << ", row " << y;
      }
    }
  }
}

}  // namespace
}  // namespace ebm
