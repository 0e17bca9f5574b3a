#include "host/output/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/base/errors.h"
#include "host/config/config.h"
#include "host/output/diagnostics_csv.h"
#include "host/output/html.h"
#include "host/output/png_grid.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// All places where a page has a text.
std::vector<std::size_t> places_of(const std::string& page, std::string_view text) {
  std::vector<std::size_t> places;
  for (std::size_t at = page.find(text); at != std::string::npos; at = page.find(text, at + 1)) {
    places.push_back(at);
  }
  return places;
}

/// Passes when the page has the texts one after another.
testing::AssertionResult in_order(const std::string& page, const std::vector<std::string>& texts) {
  std::size_t at = 0;
  for (const std::string& text : texts) {
    const std::size_t found = page.find(text, at);
    if (found == std::string::npos) {
      return testing::AssertionFailure() << "\"" << text << "\" is not there, or too early";
    }
    at = found + text.size();
  }
  return testing::AssertionSuccess();
}

/// A table's row, as the page has it.
std::string row(const std::string& header, const std::vector<std::string>& cells) {
  std::string html = "<tr><th scope=\"row\">" + header + "</th>";
  for (const std::string& cell : cells) {
    html += "<td>";
    html += cell;
    html += "</td>";
  }
  return html + "</tr>";
}

/// Noise, which a PNG cannot make smaller: about 3·side² bytes.
void write_noise(const fs::path& path, int side, unsigned seed = 1) {
  fs::create_directories(path.parent_path());
  std::mt19937 bits(seed);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(3 * side * side));
  std::ranges::generate(pixels, [&bits] { return static_cast<std::uint8_t>(bits()); });
  write_png(path, pixels, side, side, 3);
}

class Report : public testing::Test {
 protected:
  fs::path run() const { return folder_ / "run"; }
  fs::path evaluation() const { return run() / "evaluation"; }

  /// What ebm_train leaves of a toy run of three iterations.
  void make_run(const std::string& name = "toy <1>") {
    fs::create_directories(run() / "landscape");
    const std::array<std::string, 2> overrides{"name='" + name + "'", "data.sd=0.25"};
    const TrainConfig config =
        load_train_config(shipped_configs() / "gmm_convergent.yaml", overrides);
    write_bytes(run() / "config.yaml", to_yaml(config));
    write_bytes(run() / "environment.json",
                R"({"version": "9.8", "git_revision": "abc", "started": "2026-01-31T12:00:00Z",
                    "device": "cpu", "precision": "fp32", "processor": "A & B", "threads": 2})");
    write_bytes(run() / "environment_2.json",
                R"({"version": "9.9", "git_revision": "def", "started": "2026-02-01T12:00:00Z",
                    "device": "NVIDIA H200", "precision": "bf16", "threads": 16})");
    write_bytes(run() / "log.txt",
                "2026-01-31 13:00:00 info: begun\n2026-01-31 14:00:00 info: done: <run>\n");
    write_bytes(run() / "diagnostics.csv",
                std::string(kDiagnosticsHeader) +
                    "\n1,-4,0.25,0.1,0,0\n2,1,0.5,0.1,0,0\n3,-0.1547,0.75,0.1,0,0\n");
    write_noise(run() / "diagnosis.png", 8);
  }

  void write_evaluation(const Json& content) {
    fs::create_directories(evaluation());
    write_bytes(evaluation() / "evaluation.json", content.dump());
  }

  std::string report() const {
    const fs::path to = run() / "report.html";
    EXPECT_EQ(write_report(run(), {}, to), to);
    return read_bytes(to);
  }

  const TemporaryFolder folder_;
};

Json whole_evaluation() {
  return Json::parse(R"({
    "name": "toy", "network": "net_<3>.safetensors", "iteration": 12000,
    "verdict": "non-convergent", "why": "R̂ is 1.23 & more.",
    "criteria": [
      {"name": "energy_gap", "value": 0.12, "bound": 0.5, "holds": "yes",
       "says": "The gap is <0.5>, as it has to be, which makes a long sentence."},
      {"name": "rhat", "value": 1.2345678, "bound": 1.01, "holds": "no", "says": "mixed?"},
      {"name": "bracket", "value": null, "bound": 0.05, "holds": "undecided", "says": "?"}],
    "log_z": {"forward": -3.25, "forward_se": 0.003, "reverse": -3.125, "reverse_se": 0.004,
              "ess": 1812.4, "support": {"kind": "box", "low": -4.6, "high": 4.6}},
    "log_likelihood": {"train": {"lower": -1.5, "upper": -1.25, "bits_per_dimension": 0.875},
                       "test": {"lower": -1.75, "upper": null, "bits_per_dimension": 1},
                       "unit": "nats", "gaussian": -2.5},
    "mixing": {"rhat": 1.5, "ess_bulk": 123456.7, "ess_tail": 80,
               "starts": {"data": {"rhat": 1.125, "ess_bulk": 40, "ess_tail": 30},
                          "noise": {"rhat": 1.75, "ess_bulk": 20}}},
    "distances": {"short_run": {"frechet": 0.5, "mmd": -0.00012, "precision": 0.75, "recall": 1},
                  "held_out": {"frechet": 0.25, "mmd": 0, "precision": 1, "recall": 1}},
    "kl": {"learned": 0.145},
    "seconds": 71.5, "finished": true, "lags": [1, 2, 3],
    "oscillation": {"d_s": {"mean": 0.01}, "r_s": {"mean": null}}})");
}

TEST_F(Report, SaysWhatWasRunAndThatThereIsNoVerdict) {
  make_run();
  const std::string page = report();
  EXPECT_TRUE(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
  EXPECT_TRUE(in_order(page, {"<title>toy &lt;1&gt;: Verdict</title>",
                              "<h1>toy &lt;1&gt;</h1>",
                              "<h2 id=\"verdict\">Verdict</h2>",
                              "None yet",
                              "<h2 id=\"run\">The run</h2>",
                              row("network", {"toy"}),
                              row("optimizer", {"sgd, rate 0.1"}),
                              row("seed", {"123"}),
                              "2026-01-31T12:00:00Z, on cpu (A &amp; B), 2 threads, fp32",
                              ">gone on with<",
                              "2026-02-01T12:00:00Z, on NVIDIA H200, 16 threads, bf16",
                              row("version", {"ebm 9.9 (def)"}),
                              "from 2026-01-31 13:00:00 to 2026-01-31 14:00:00",
                              row("its last line", {"info: done: &lt;run&gt;"}),
                              "sd: 0.25",
                              "<h2 id=\"diagnosis\">Diagnosis</h2>",
                              "0.1768 here",
                              "After 3 iterations",
                              row("d_s, nats", {"−0.1547", "−1.052", "2.137"}),
                              row("r_s", {"0.75", "0.5", "0.2041"}),
                              "<figure class=\"plot\">"}));
  EXPECT_TRUE(mentions(page, {"8 groups of standard deviation 0.25, radius 1",
                              "500 steps of ε = 0.125, persistent chains, bank of 10,000"}));
  // Nothing of what is not there, and nothing from elsewhere.
  for (const char* missing : {"Landscapes", "Short runs", "Long runs", "Evaluation",
                              "http:", "https:", "<script", "<link", "url(", "<1>", "<run>"}) {
    EXPECT_TRUE(places_of(page, missing).empty()) << missing;
  }
}

TEST_F(Report, ShowsTheEvaluationVerdictFirst) {
  make_run();
  write_evaluation(whole_evaluation());
  for (const char* name : {"zeta<.png", "x_noise.png", "log_weights.png", "energy_of_chains.png"}) {
    write_noise(evaluation() / name, 4);
  }
  write_bytes(evaluation() / "weights.npy", "");
  const std::string page = report();
  EXPECT_TRUE(in_order(
      page,
      {"<title>toy &lt;1&gt;: Verdict: non-convergent</title>",
       "<h2 id=\"verdict\">Verdict: non-convergent</h2>",
       "<p class=\"verdict non-convergent\">",
       "<p>R̂ is 1.23 &amp; more.</p>",
       "net_&lt;3&gt;.safetensors, after iteration 12,000",
       "<h2 id=\"run\">",
       "<h2 id=\"diagnosis\">",
       "<h2 id=\"evaluation\">",
       "<h3>Criteria</h3>",
       "<tr><th scope=\"row\">energy gap</th><td>0.12</td><td>0.5</td><td>✓\u00a0yes</td><td "
       "class=\"sentence\">The gap is &lt;0.5&gt;, as it has to be",
       row("R̂", {"1.235", "1.01", "✗\u00a0no", "mixed?"}),
       row("bracket", {"none", "0.05", "?\u00a0undecided", "?"}),
       "<h3>Normalizing constant</h3>",
       row("forward", {"−3.25"}),
       row("standard error of forward", {"0.003"}),
       row("reverse", {"−3.125"}),
       row("standard error of reverse", {"0.004"}),
       row("effective sample size of the weights", {"1,812"}),
       "Normalizing constant: support",
       row("support", {"box", "−4.6", "4.6"}),
       "<h3>Likelihood, in nats</h3>",
       row("training data", {"−1.5", "−1.25", "0.875"}),
       row("held-out data", {"−1.75", "none", "1"}),
       "Likelihood, in nats: further",
       row("a Gaussian with the data&#39;s moments, to compare", {"−2.5"}),
       "<h3>Mixing of long chains</h3>",
       row("R̂", {"1.5"}),
       row("bulk ESS", {"123,457"}),
       "<th scope=\"col\">R̂</th><th scope=\"col\">bulk ESS</th><th scope=\"col\">tail ESS</th>",
       row("chains from data", {"1.125", "40", "30"}),
       row("chains from noise", {"1.75", "20", ""}),
       "<h3>Samples against data</h3>",
       row("short-run chains", {"0.5", "−0.00012", "0.75", "1"}),
       row("held-out data", {"0.25", "0", "1", "1"}),
       "<h3>KL divergence</h3>",
       row("learned", {"0.145"}),
       "<h3>Other numbers</h3>",
       row("seconds", {"71.5"}),
       row("finished", {"yes"}),
       row("lags", {"3 values"}),
       row("d_s", {"0.01"}),
       row("r_s", {"none"}),
       "<h3>Plots</h3>",
       "Energy of long chains from each start",
       "log Z by single chains of annealing, forward and reverse",
       "<figcaption>zeta&lt;</figcaption>",
       "<figcaption>Last states of chains from noise</figcaption>"}));
  EXPECT_EQ(places_of(page, "<img ").size(), 5U);
  EXPECT_EQ(places_of(page, "<3>").size() + places_of(page, "<0.5>").size(), 0U);
}

/// Whatever is left out or null costs the page itself alone.
TEST_F(Report, DoesWithoutAnyPartOfAnEvaluation) {
  make_run();
  const Json whole = whole_evaluation();
  for (const auto& part : whole.items()) {
    for (const bool is_null : {false, true}) {
      Json rest = whole;
      is_null ? void(rest[part.key()] = nullptr) : void(rest.erase(part.key()));
      write_evaluation(rest);
      const std::string page = report();
      for (const std::string other : {"criteria", "log_z", "mixing"}) {
        const std::string sign = other == "criteria" ? "<h3>Criteria"
                                 : other == "log_z"  ? "<h3>Normalizing"
                                                     : "<h3>Mixing";
        EXPECT_EQ(places_of(page, sign).size(), part.key() == other ? 0U : 1U) << part.key();
      }
    }
  }
  Json no_test = whole;
  no_test["log_likelihood"]["test"] = nullptr;  // a table of one row
  write_evaluation(no_test);
  EXPECT_TRUE(mentions(report(), {row("training data", {"−1.5", "−1.25", "0.875"})}));
  write_evaluation(Json::object());
  EXPECT_TRUE(mentions(report(), {"<h2 id=\"verdict\">Verdict"}));
}

TEST_F(Report, OfANetworkAloneIsItsEvaluation) {
  write_evaluation(whole_evaluation());
  const fs::path to = folder_ / "page.html";
  EXPECT_EQ(write_report({}, evaluation(), to), to);
  const std::string page = read_bytes(to);
  EXPECT_TRUE(in_order(page, {"<h1>toy</h1>", "Verdict: non-convergent", "<h3>Criteria</h3>"}));
  EXPECT_TRUE(places_of(page, "The run").empty());
  write_evaluation({{"verdict", "convergent"}});
  write_report({}, evaluation(), to);
  EXPECT_TRUE(in_order(read_bytes(to), {"<h1>Evaluation</h1>", "Verdict: convergent"}));
  EXPECT_TRUE(mentions(message_of<InputFileError>([&] { write_report({}, folder_ / "none", to); }),
                       {"none"}));
}

TEST_F(Report, OfAFolderWithAlmostNothingHasItsName) {
  fs::create_directories(run());
  EXPECT_TRUE(in_order(report(), {"<h1>run</h1>", "None yet"}));
  write_report(run().string() + "/", {}, folder_ / "page.html");
  EXPECT_TRUE(mentions(read_bytes(folder_ / "page.html"), {"<h1>run</h1>"}));
}

TEST_F(Report, RefusesWhatIsMalformed) {
  make_run();
  struct Case {
    fs::path file;
    std::string text;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases{
      {evaluation() / "evaluation.json", "{\"verdict\": ", {"evaluation.json", "not valid JSON"}},
      {evaluation() / "evaluation.json", "[1, 2]", {"evaluation.json", "not a JSON object"}},
      {evaluation() / "evaluation.json", "{\"a\": 1e999}", {"evaluation.json", "not valid JSON"}},
      {evaluation() / "evaluation.json",
       "{\"a\": \"\xff\"}",
       {"evaluation.json", "not valid JSON"}},
      {evaluation() / "evaluation.json",
       "{\"a\": " + std::string(100, '[') + std::string(100, ']') + "}",
       {"evaluation.json", "deep"}},
      {evaluation() / "evaluation.json", R"({"criteria": [1]})", {"evaluation.json", "criteria"}},
      {evaluation() / "evaluation.json", R"({"criteria": {"a": {}}})", {"criteria"}},
      {run() / "environment.json", "", {"run/environment.json"}},
      {run() / "diagnosis.png", "<svg>", {"diagnosis.png", "is not a PNG picture"}},
      {run() / "diagnostics.csv", "a,b\n", {"diagnostics.csv", "line 1"}},
  };
  fs::create_directories(evaluation());
  for (const Case& c : cases) {
    const std::string before = fs::exists(c.file) ? read_bytes(c.file) : "{}";
    write_bytes(c.file, c.text);
    const std::string message = message_of<InputFileError>([&] { report(); });
    EXPECT_TRUE(mentions(message, c.says)) << message;
    write_bytes(c.file, before);
  }
  EXPECT_FALSE(fs::exists(run() / "report.html"));
  write_bytes(run() / "config.yaml", "name: [\n");
  EXPECT_THROW(report(), ConfigurationError);
  EXPECT_THROW(write_report(folder_ / "none", {}, folder_ / "page.html"), InputFileError);
}

TEST_F(Report, ShowsLandscapesInTime) {
  make_run();
  for (int i = 0; i <= 10; ++i) {
    std::string name = std::to_string(100 * i + 1);
    name.insert(0, 6 - name.size(), '0');
    write_noise(run() / "landscape" / ("landscape_" + name + ".png"), 4);
  }
  write_noise(run() / "landscape/landscape.png", 4);
  write_noise(run() / "landscape/landscape_other.png", 4);
  write_bytes(run() / "landscape/landscape.csv",
              "iteration,kl_learned,l1_learned,l1_shortrun\n1,2.73456,1,1\n201,nan,1,1\n1001,0.1");
  const std::string page = report();
  EXPECT_TRUE(in_order(page, {"<h2 id=\"landscapes\">", "Distances from the truth",
                              "6 of 11 landscapes are shown: the first, the last",
                              "<figcaption>Iteration 1: KL(truth ‖ learned) 2.735 nats<",
                              "<figcaption>Iteration 201: KL(truth ‖ learned) not a number nats<",
                              "<figcaption>Iteration 401<", "<figcaption>Iteration 601<",
                              "<figcaption>Iteration 801<", "<figcaption>Iteration 1,001<"}));
  EXPECT_EQ(places_of(page, "<figcaption>Iteration").size(), 6U);
}

TEST_F(Report, ShowsImagesInTimeAndLongRuns) {
  make_run();
  for (const char* name :
       {"shortrun/x_000005.png", "shortrun/x_001000.png", "shortrun/bank_000005.png",
        "longrun/longrun_000010.png", "longrun/energy_000010.png", "longrun/energy_000020.png"}) {
    write_noise(run() / name, 4);
  }
  const std::string page = report();
  EXPECT_TRUE(in_order(
      page, {"<h2 id=\"short-runs\">", "<h3>Chains after their short run</h3>",
             "alt=\"Grid of images, the chains after their short run, in iteration 5\"",
             "<figcaption>Iteration 5<", "<figcaption>Iteration 1,000<",
             "<h3>The bank of persistent chains</h3>", "<figcaption>Iteration 5<",
             "<h2 id=\"long-runs\">", "<h3>After iteration 10</h3>", "<figcaption>Chains after",
             "<figcaption>Energy U", "<h3>After iteration 20</h3>", "<figcaption>Energy U"}));
  EXPECT_EQ(places_of(page, "are shown").size(), 0U);
  EXPECT_EQ(places_of(page, "<img ").size(), 7U);
}

/// The more there is, the fewer pictures in time, until the page is smaller than 5 MB.
TEST_F(Report, StaysBelowFiveMegabytes) {
  struct Case {
    std::size_t bytes;  // of a picture; a third more in base64
    std::size_t shown;
  };
  for (const Case& c : {Case{600'000, 6}, Case{900'000, 4}, Case{2'000'000, 1}, Case{3'600'000, 1},
                        Case{3'800'000, 0}}) {
    make_run();
    write_noise(run() / "shortrun/x_000001.png", 4);
    std::string png = read_bytes(run() / "shortrun/x_000001.png");
    png.resize(c.bytes);
    for (int i = 1; i <= 7; ++i) {
      write_bytes(run() / ("shortrun/x_00000" + std::to_string(i) + ".png"), png);
    }
    const std::string page = report();
    EXPECT_LT(page.size(), 5'000'000U);
    EXPECT_EQ(places_of(page, "<figcaption>Iteration").size(), c.shown) << c.bytes;
    const std::string chosen = std::to_string(std::max<std::size_t>(c.shown, 1));
    EXPECT_TRUE(mentions(page, {chosen + " of 7 grids"})) << c.bytes;
    EXPECT_EQ(places_of(page, "x_000007.png (Iteration 7) is left out").size(),
              c.shown == 0 ? 1U : 0U)
        << c.bytes;
  }
}

/// The bytes of a picture, as base64 from another implementation has them.
TEST_F(Report, InlinesPicturesAsTheyAre) {
  make_run();
  const std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x02\0\0\0\x03\x08\0\0\0\0\xfb\xff",
                        31);
  for (std::size_t size = 29; size <= png.size(); ++size) {
    write_bytes(run() / "diagnosis.png", png.substr(0, size));
    const std::string expected =
        std::string("iVBORw0KGgoAAAANSUhEUgAAAQIAAAADCAAAAA") + (size == 29   ? "A="
                                                                 : size == 30 ? "D7"
                                                                              : "D7/w==");
    EXPECT_TRUE(mentions(report(), {"<img width=\"258\" height=\"3\"",
                                    "src=\"data:image/png;base64," + expected + "\">"}));
  }
}

TEST(ReadableNumber, HasFourDigitsAndCommas) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(readable_number(0), "0");
  EXPECT_EQ(readable_number(-0.15467), "−0.1547");
  EXPECT_EQ(readable_number(12345.6), "12,346");
  EXPECT_EQ(readable_number(-1234567), "−1,234,567");
  EXPECT_EQ(readable_number(999.96), "1000");
  EXPECT_EQ(readable_number(1.5e-7), "1.5e−07");
  EXPECT_EQ(readable_number(2.5e20), "2.5e+20");
  EXPECT_EQ(readable_number(-infinity), "−∞");
  EXPECT_EQ(readable_number(std::nan("")), "not a number");
}

}  // namespace
}  // namespace ebm
