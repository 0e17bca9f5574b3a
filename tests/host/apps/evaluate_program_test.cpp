// ebm_evaluate as a user runs it: its files, messages and exit statuses.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/evaluation/evaluation_config.h"
#include "tests/support/places.h"
#include "tests/support/run_training.h"
#include "tests/support/shell.h"

namespace ebm {
namespace {

const std::string kSmall =
    " --set evaluate.chains=30 --set evaluate.steps=40 --set evaluate.every=4 "
    "--set evaluate.annealing_chains=40 "
    "--set evaluate.annealing_steps=60 --set evaluate.samples=100 ";

class EvaluateProgram : public testing::Test {
 protected:
  EvaluateProgram() { train(toy_config(), folder_ / "run"); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Outcome evaluate(const std::string& arguments) const {
    return shell("cd " + folder_.path().string() + " && " + program_path("ebm_evaluate") + " " +
                 arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(EvaluateProgram, EvaluatesARunInItsFolder) {
  const Outcome run = evaluate("run" + kSmall);
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_TRUE(mentions(run.output,
                       {"net_000006.safetensors", "U = f/0.007812", "chains from data: step 40/40",
                        "chains from noise", "chains from the bank", "without walls",
                        "annealing forward", "annealing reverse", "short runs: 30 chains, 20 steps",
                        "likelihood", "virial", "verdict: "}));
  for (const char* file :
       {"config.yaml", "environment.json", "log.txt", "network.safetensors", "evaluation.json",
        "report.html", "bank.npy", "annealing_path.npy", "log_weights_forward.npy",
        "energy_of_chains.gp", "energy_of_chains.csv", "log_weights.gp", "states_data.npy"}) {
    EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / "run/evaluation" / file)) << file;
  }
  const auto json = nlohmann::json::parse(read_bytes(folder_ / "run/evaluation/evaluation.json"));
  EXPECT_EQ(json["network"], path("run/checkpoints/net_000006.safetensors"));
  EXPECT_TRUE(mentions(run.output, {json["verdict"].get<std::string>()}));
  // The configuration that it wrote says all, and gives the same bits.
  const Outcome again = evaluate("run/evaluation/config.yaml --out again --quiet");
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(again.output, "");
  EXPECT_EQ(differing_files(folder_ / "again", folder_ / "run/evaluation"), "");
  // A second one does not write over the first.
  const Outcome second = evaluate("run" + kSmall);
  EXPECT_EQ(second.status, 2);
  EXPECT_TRUE(mentions(second.output, {"evaluation", "not empty"}));
}

TEST_F(EvaluateProgram, StopsAndGoesOn) {
  ASSERT_EQ(evaluate("run --out whole --quiet" + kSmall).status, 0);
  const Outcome stopped =
      shell("cd " + folder_.path().string() + " && (" + program_path("ebm_evaluate") +
            " run --out stopped" + kSmall +
            "& p=$!; until grep -q 'chains from' stopped/log.txt 2>/dev/null; do sleep 0.01; done; "
            "kill -TERM $p; wait $p)");
  if (stopped.status == 75) {  // on a busy machine it may be done before it hears of it
    EXPECT_TRUE(mentions(stopped.output, {"stopped by SIGTERM", "ebm_evaluate --resume stopped"}));
    const Outcome resumed = evaluate("--resume stopped");
    ASSERT_EQ(resumed.status, 0) << resumed.output;
  } else {
    ASSERT_EQ(stopped.status, 0) << stopped.output;
  }
  EXPECT_EQ(differing_files(folder_ / "stopped", folder_ / "whole"), "");
  const Outcome changed = evaluate("--resume stopped --set evaluate.chains=20");
  EXPECT_EQ(changed.status, 2);
  EXPECT_TRUE(mentions(changed.output, {"evaluate.chains=20", "ebm_evaluate"}));
}

TEST_F(EvaluateProgram, ANetworkAloneNeedsToBeToldItsDataAndStarts) {
  std::filesystem::copy(folder_ / "run/checkpoints/net_000006.safetensors",
                        folder_ / "alone.safetensors");
  const Outcome asked = evaluate("alone.safetensors" + kSmall);
  EXPECT_EQ(asked.status, 2);
  EXPECT_TRUE(mentions(asked.output, {"data.kind", "langevin.init"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
  const Outcome run =
      evaluate("alone.safetensors --set data.kind=gmm --set langevin.init=gaussian" + kSmall);
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_EQ(run.output.find("from the bank"), std::string::npos) << run.output;
  EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / "runs/evaluation/alone/evaluation.json"));
}

TEST_F(EvaluateProgram, WrongInputIsAClearErrorAndLeavesNothing) {
  struct Case {
    std::string arguments;
    int status;
    std::vector<std::string> says;
  };
  for (const Case& c : std::vector<Case>{
           {"", 2, {"RUN, NET.safetensors, CONFIG.yaml or --resume DIR"}},
           {"none", 2, {"none"}},
           {"none.safetensors", 3, {"none.safetensors", "no such run or network"}},
           {"run --set evaluate.chainz=3", 2, {"evaluate.chainz", "chains"}},
           {"run --set evaluate.chains=3", 2, {"evaluate.chains", "20"}},
           {"run --set evaluate.steps=40 --set evaluate.every=20", 2, {"evaluate.every", "8"}},
           {"run --set data.kind=mnist --set data.path=x", 2, {"data.kind", "toy"}},
           {"run --set network.kind=vanilla", 2, {"network vanilla", "toy"}},
           {"run --set 'evaluate.box=[-0.5, 0.5]'" + kSmall, 2, {"evaluate.box", "data"}},
           {"--resume run", 2, {"--resume run", "network.safetensors"}}}) {
    const Outcome wrong =
        evaluate(c.arguments + (c.arguments.starts_with("--resume") ? "" : " --out wrong"));
    EXPECT_EQ(wrong.status, c.status) << c.arguments << wrong.output;
    EXPECT_TRUE(mentions(wrong.output, c.says)) << wrong.output;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "wrong/log.txt")) << c.arguments;
  }
}

}  // namespace
}  // namespace ebm
