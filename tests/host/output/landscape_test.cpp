#include "host/output/landscape.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "host/files/npy.h"
#include "host/output/plot.h"
#include "tests/support/png_pixels.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// A folder of the test's own, and a PATH that is put back.
class Drawing : public testing::Test {
 protected:
  ~Drawing() override {
    if (path_) {
      setenv("PATH", path_->c_str(), 1);
    }
  }

  /// Makes the programs in `folder` the only ones that can be found.
  void set_search_path(const fs::path& folder) {
    path_ = getenv("PATH");
    setenv("PATH", folder.c_str(), 1);
  }

  /// Makes the shell script `body` the gnuplot that is found.
  void install_gnuplot(const std::string& body) {
    const fs::path bin = folder_ / "bin";
    fs::create_directory(bin);
    std::ofstream(bin / "gnuplot") << "#!/bin/sh\n" << body << '\n';
    fs::permissions(bin / "gnuplot", fs::perms::owner_all);
    set_search_path(bin);
  }

  fs::path script(const std::string& name) {
    std::ofstream(folder_ / name) << "# a script\n";
    return folder_ / name;
  }

  PlotQueue::Warn keep_warnings() {
    return [this](const std::string& reason) { warnings_.push_back(reason); };
  }

  TemporaryFolder folder_;
  std::vector<std::string> warnings_;  ///< complete once the queue is gone

 private:
  std::optional<std::string> path_;
};

using Plots = Drawing;
using Landscapes = Drawing;

TEST_F(Plots, PicturesAppearUnderTheirNamesOnlyWhenWhole) {
  install_gnuplot(R"(test "$1 $2 $3" = "-d -c one.gp" && echo "picture $4" > $4)");
  { PlotQueue(keep_warnings()).draw(script("one.gp")); }
  EXPECT_TRUE(warnings_.empty());
  EXPECT_EQ(read_bytes(folder_ / "one.png"), "picture one.part.png\n");
  EXPECT_EQ(read_bytes(folder_ / "one.pdf"), "picture one.part.pdf\n");
  EXPECT_FALSE(fs::exists(folder_ / "one.part.png"));
  EXPECT_FALSE(fs::exists(folder_ / "one.part.pdf"));
}

TEST_F(Plots, AScriptAlreadyWaitingIsDrawnOnce) {
  install_gnuplot(R"(echo $4 >> drawn; : > $4; /bin/sleep 0.2)");
  {
    PlotQueue plots(keep_warnings());
    const fs::path first = script("first.gp");
    const fs::path second = script("second.gp");
    plots.draw(first);
    for (int i = 0; i < 10; ++i) {
      plots.draw(second);
    }
  }
  EXPECT_EQ(read_bytes(folder_ / "drawn"),
            "first.part.png\nfirst.part.pdf\nsecond.part.png\nsecond.part.pdf\n");
}

TEST_F(Plots, AFailureIsOneWarningAndLeavesNothingBehind) {
  install_gnuplot(R"(: > $4; exit 3)");
  {
    PlotQueue plots(keep_warnings());
    plots.draw(script("one.gp"));
    plots.draw(script("two.gp"));
  }
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("one.gp"), std::string::npos) << warnings_[0];
  EXPECT_FALSE(fs::exists(folder_ / "one.png"));
  EXPECT_FALSE(fs::exists(folder_ / "one.part.png"));
}

TEST_F(Plots, AMissingGnuplotIsOneWarning) {
  set_search_path(folder_.path());
  { PlotQueue(keep_warnings()).draw(script("one.gp")); }
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("gnuplot"), std::string::npos);
}

TEST_F(Plots, AGnuplotThatHangsNeitherDelaysTheCallerNorOutlivesTheQueue) {
  install_gnuplot("/bin/sleep 60; : > $4");
  const auto start = std::chrono::steady_clock::now();
  {
    PlotQueue plots(keep_warnings(), milliseconds(300));
    for (int i = 0; i < 20; ++i) {
      plots.draw(script("plot" + std::to_string(i) + ".gp"));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(250));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("too long"), std::string::npos) << warnings_[0];
}

constexpr std::size_t kGridPoints = std::size_t{40} * 40;  ///< of kSettings

const LandscapeSettings kSettings = {
    .truth = {.kind = ToyDensity::Kind::rings, .groups = 2}, .resolution = 40, .epsilon = 0.125};

/// On the grid of kSettings.
KernelDensity density_of(const std::vector<float>& states) {
  return gaussian_kde(Queue(), states, 0.075,
                      grid_axis(kSettings.truth.half_width(), kSettings.resolution));
}

/// f whose learned density is the truth (plus a floor that keeps it finite).
std::vector<float> perfect_energy() {
  std::vector<float> f;
  for (const float density : true_density(
           kSettings.truth, grid_axis(kSettings.truth.half_width(), kSettings.resolution))) {
    f.push_back(-0.125F * 0.125F / 2 * std::log(density + 1e-12F));
  }
  return f;
}

/// States evenly along the truth's rings and across them.
std::vector<float> ring_states() {
  std::vector<float> states;
  for (int i = 0; i < 2000; ++i) {
    const float angle = 2.39996323F * static_cast<float>(i);
    const float radius = static_cast<float>(1 + i % 2) + 0.1F * static_cast<float>(i % 5 - 2);
    states.insert(states.end(), {radius * std::cos(angle), radius * std::sin(angle)});
  }
  return states;
}

TEST_F(Landscapes, AreReadableArraysASummaryLineAndAScript) {
  LandscapeSummary summary;
  {
    PlotQueue plots(keep_warnings());
    Landscape landscape(folder_ / "landscape", kSettings, plots);
    EXPECT_EQ(landscape.grid_states().size(), 2 * kGridPoints);
    summary = landscape.write(1000, perfect_energy(), density_of(ring_states()));
    landscape.write(2000, std::vector<float>(kGridPoints, 0.0F), density_of(ring_states()));
  }
  EXPECT_NEAR(summary.kl_learned, 0, 1e-4);
  EXPECT_NEAR(summary.l1_learned, 0, 1e-3);
  EXPECT_GT(summary.l1_shortrun, 0.01);
  EXPECT_LT(summary.l1_shortrun, 0.7);
  EXPECT_EQ(summary.left_out, 0U);

  const auto axis = grid_axis(kSettings.truth.half_width(), 40);
  const NpyArray truth = read_npy(folder_ / "landscape/truth_density.npy");
  EXPECT_EQ(truth.shape, (std::vector<std::int64_t>{40, 40}));
  EXPECT_EQ(truth.values, true_density(kSettings.truth, axis));
  const NpyArray learned = read_npy(folder_ / "landscape/landscape_001000_learned_density.npy");
  EXPECT_NEAR(l1_distance(truth.values, learned.values, axis), summary.l1_learned, 1e-9);
  const NpyArray shortrun = read_npy(folder_ / "landscape/landscape_001000_shortrun_density.npy");
  EXPECT_NEAR(l1_distance(truth.values, shortrun.values, axis), summary.l1_shortrun, 1e-9);
  for (const std::string name :
       {"truth", "landscape_001000_learned", "landscape_001000_shortrun"}) {
    const NpyArray plain = read_npy(folder_ / ("landscape/" + name + "_density.npy"));
    const NpyArray logs = read_npy(folder_ / ("landscape/" + name + "_log_density.npy"));
    ASSERT_EQ(logs.shape, plain.shape);
    for (std::size_t i = 0; i < logs.values.size(); ++i) {
      ASSERT_NEAR(logs.values[i], std::log(static_cast<double>(plain.values[i]) + 1e-10), 2e-6);
    }
  }

  const std::string table = read_bytes(folder_ / "landscape/landscape.csv");
  EXPECT_TRUE(table.starts_with("iteration,kl_learned,l1_learned,l1_shortrun\n1000,")) << table;
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3);
  EXPECT_TRUE(fs::exists(folder_ / "landscape/landscape_002000.gp"));
}

TEST_F(Landscapes, ContinueTheTableOfAnEarlierProcess) {
  PlotQueue plots(keep_warnings());
  for (const std::int64_t iteration : {1, 2}) {
    Landscape(folder_ / "landscape", kSettings, plots)
        .write(iteration, perfect_energy(), density_of(ring_states()));
  }
  const std::string table = read_bytes(folder_ / "landscape/landscape.csv");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3) << table;
}

TEST_F(Landscapes, ShowThatARunDivergedAndDoNotFail) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  PlotQueue plots(keep_warnings());
  Landscape landscape(folder_ / "landscape", kSettings, plots);
  const auto summary = landscape.write(1, std::vector<float>(kGridPoints, kNan),
                                       density_of(std::vector<float>(20, kNan)));
  EXPECT_TRUE(std::isnan(summary.kl_learned));
  EXPECT_NEAR(summary.l1_shortrun, 1.0, 1e-3);  // of the truth from nothing
  EXPECT_EQ(summary.left_out, 10U);
}

TEST_F(Landscapes, NeedNoGnuplot) {
  set_search_path(folder_.path());
  {
    PlotQueue plots(keep_warnings());
    Landscape landscape(folder_ / "landscape", kSettings, plots);
    landscape.write(1000, perfect_energy(), density_of(ring_states()));
    landscape.write(2000, perfect_energy(), density_of(ring_states()));
  }
  EXPECT_EQ(warnings_.size(), 1U);
  EXPECT_TRUE(fs::exists(folder_ / "landscape/landscape_002000_learned_density.npy"));
}

TEST_F(Landscapes, AreDrawnByGnuplot) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  {
    PlotQueue plots(keep_warnings());
    Landscape landscape(folder_ / "landscape", kSettings, plots);
    landscape.write(1000, perfect_energy(), density_of(ring_states()));
    landscape.write(2000, std::vector<float>(kGridPoints, kNan), density_of({kNan, 0}));
  }
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
  EXPECT_TRUE(read_bytes(folder_ / "landscape/landscape_001000.png").starts_with("\x89PNG"));
  EXPECT_TRUE(read_bytes(folder_ / "landscape/landscape_002000.png").starts_with("\x89PNG"));
  EXPECT_TRUE(read_bytes(folder_ / "landscape/landscape_001000.pdf").starts_with("%PDF"));
}

/// How many of a picture's pixels have this colour.
std::ptrdiff_t count(const fs::path& picture, std::array<std::uint8_t, 3> colour) {
  const PngPixels drawn = read_png_pixels(picture);
  return std::count(drawn.pixels.begin(), drawn.pixels.end(), colour);
}

/// f whose learned density is as many times as high as the truth, on fewer of its places.
std::vector<float> narrow_energy(float power) {
  std::vector<float> f = perfect_energy();
  for (float& value : f) value *= power;
  return f;
}

TEST_F(Landscapes, MarkWhatIsAboveTheTruthInTheStyleOfTheRun) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  constexpr std::array<std::uint8_t, 3> kRed{255, 42, 42};
  constexpr std::array<std::uint8_t, 3> kGreen{0, 255, 0};
  const fs::path pictures = folder_ / "landscape";
  {
    PlotQueue plots(keep_warnings());
    Landscape landscape(pictures, kSettings, plots);
    landscape.write(1, narrow_energy(1), density_of(ring_states()));
    landscape.write(2, narrow_energy(4), density_of(ring_states()));
  }
  const NpyArray truth = read_npy(pictures / "truth_density.npy");
  const NpyArray learned = read_npy(pictures / "landscape_000002_learned_density.npy");
  const float peak = *std::max_element(truth.values.begin(), truth.values.end());
  const auto above = std::count_if(learned.values.begin(), learned.values.end(),
                                   [peak](float density) { return density > peak; });
  ASSERT_GT(above, 10);
  EXPECT_TRUE(mentions(read_bytes(pictures / "landscape_000002.gp"),
                       {fmt::format("array peak[3] = [{}, {}, ", static_cast<double>(peak),
                                    static_cast<double>(*std::max_element(
                                        learned.values.begin(), learned.values.end())))}));
  // Both panels show so many of the grid's points, each about 324² / 39² = 69 pixels large; the
  // sign beside the scale of colours is as large as 3.5 of them.
  const std::ptrdiff_t sign = count(pictures / "landscape_000001.png", kRed);
  EXPECT_NEAR(static_cast<double>(sign), 3.5 * 69, 69);
  EXPECT_NEAR(static_cast<double>(count(pictures / "landscape_000002.png", kRed) - sign),
              2 * 69 * static_cast<double>(above), 0.05 * 2 * 69 * static_cast<double>(above));

  write_bytes(folder_ / "plots.gp", "saturated = '#00ff00'\n");
  {
    PlotQueue plots(keep_warnings());
    Landscape(pictures, kSettings, plots).write(3, narrow_energy(4), density_of(ring_states()));
  }
  EXPECT_EQ(count(pictures / "landscape_000003.png", kRed), 0);
  EXPECT_EQ(count(pictures / "landscape_000003.png", kGreen),
            count(pictures / "landscape_000002.png", kRed));
  EXPECT_EQ(read_bytes(folder_ / "plots.gp"), "saturated = '#00ff00'\n");
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
}

TEST_F(Landscapes, AreDrawnOverTheIterations) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  constexpr std::array<std::uint8_t, 3> kBlue{0, 114, 178};
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const fs::path picture = folder_ / "landscape/landscape.png";
  const auto write = [&](std::int64_t iteration, const std::vector<float>& f) {
    PlotQueue plots(keep_warnings());
    Landscape(picture.parent_path(), kSettings, plots)
        .write(iteration, f, density_of(ring_states()));
  };
  write(1, std::vector<float>(kGridPoints, kNan));  // only the sign of the learned energy's curve
  const std::ptrdiff_t sign = count(picture, kBlue);
  EXPECT_GT(sign, 0);
  write(2, narrow_energy(2));
  write(3, narrow_energy(3));
  const std::ptrdiff_t with_curves = count(picture, kBlue);
  EXPECT_GT(with_curves, sign + 100);
  {
    PlotQueue plots(keep_warnings());
    Landscape(picture.parent_path(), kSettings, plots).go_back(1);
  }
  EXPECT_EQ(count(picture, kBlue), sign);  // those of iterations 2 and 3 are forgotten
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
}

}  // namespace
}  // namespace ebm
