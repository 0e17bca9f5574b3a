// Linear layers by every algorithm that cuBLASLt proposes, against their definition, summed in
// double.

#include "cuda/nn/gpu/lt_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda/device/cuda_graph.h"
#include "tests/cuda/nn/gpu/stored_array.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"

namespace ebm {
namespace {

constexpr std::size_t kMost = 8;
constexpr float kUnwritten = 1e30F;

std::size_t values_of(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(rows * columns);
}

using Results = std::vector<float>;

/// A layer with its arrays and one pass of it.
struct Experiment {
  Experiment(const LtProblem& what, const CublasLtHandle& of)
      : problem(what), handle(of), plans(lt_candidates(of, what, kMost)) {
    std::size_t most = 0;
    for (const LtPlan& plan : plans) {
      most = std::max(most, plan.workspace_bytes());
    }
    workspace = DeviceBuffer<std::byte>(of.stream(), most);
  }

  void enqueue(const LtPlan& plan) {
    const LtArrays forward = {.left = x.data(),
                              .right = weight.data(),
                              .result = y.data(),
                              .bias = static_cast<const float*>(bias.data())};
    const LtArrays input_gradient = {
        .left = dy.data(), .right = weight.data(), .result = dx.data()};
    const LtArrays weight_gradient = {
        .left = dy.data(), .right = x.data(), .result = dweight.data()};
    plan.run(handle,
             problem.pass == ConvolutionPass::forward          ? forward
             : problem.pass == ConvolutionPass::input_gradient ? input_gradient
                                                               : weight_gradient,
             workspace.data());
  }
  Results results() { return result().values(); }
  Results run(const LtPlan& plan) {
    forget_results();
    enqueue(plan);
    return results();
  }
  void forget_results() {
    result().upload(std::vector<float>(result().values().size(), kUnwritten));
  }

  StoredArray& result() {
    return problem.pass == ConvolutionPass::forward          ? y
           : problem.pass == ConvolutionPass::input_gradient ? dx
                                                             : dweight;
  }

  LtProblem problem;
  const CublasLtHandle& handle;
  std::vector<LtPlan> plans;
  bool shorter = problem.precision == Precision::bf16;
  std::vector<float> x_values =
      numbers_of(problem.precision, values_of(problem.rows, problem.inputs), 1);
  std::vector<float> weight_values =
      numbers_of(problem.precision, values_of(problem.outputs, problem.inputs), 2);
  std::vector<float> bias_values = numbers(static_cast<std::size_t>(problem.outputs), 3);
  std::vector<float> dy_values =
      numbers_of(problem.precision, values_of(problem.rows, problem.outputs), 4);

  StoredArray x{handle.stream(), shorter, x_values};
  StoredArray weight{handle.stream(), shorter, weight_values};
  StoredArray bias{handle.stream(), false, bias_values};
  StoredArray dy{handle.stream(), shorter, dy_values};
  StoredArray y{handle.stream(), shorter, dy_values};
  StoredArray dx{handle.stream(), shorter, x_values};
  StoredArray dweight{handle.stream(), false, weight_values};
  DeviceBuffer<std::byte> workspace;
};

/// What a pass is to be, and of how many products each of its sums.
struct Expected {
  Sums result;
  std::int64_t products;
};

Expected expected_of(Experiment& of) {
  const LtProblem& p = of.problem;
  Expected expected{Sums(of.result().values().size()),
                    p.pass == ConvolutionPass::forward          ? p.inputs + 1
                    : p.pass == ConvolutionPass::input_gradient ? p.outputs
                                                                : p.rows};
  for (std::size_t row = 0; row < static_cast<std::size_t>(p.rows); ++row) {
    for (std::size_t to = 0; to < static_cast<std::size_t>(p.outputs); ++to) {
      const std::size_t y = row * static_cast<std::size_t>(p.outputs) + to;
      const double dy = of.dy_values[y];
      if (p.pass == ConvolutionPass::forward && p.bias) {
        expected.result.add(y, of.bias_values[to]);
      }
      for (std::size_t from = 0; from < static_cast<std::size_t>(p.inputs); ++from) {
        const std::size_t x = row * static_cast<std::size_t>(p.inputs) + from;
        const std::size_t w = to * static_cast<std::size_t>(p.inputs) + from;
        if (p.pass == ConvolutionPass::forward) {
          expected.result.add(y, double{of.weight_values[w]} * of.x_values[x]);
        } else if (p.pass == ConvolutionPass::input_gradient) {
          expected.result.add(x, double{of.weight_values[w]} * dy);
        } else {
          expected.result.add(w, dy * of.x_values[x]);
        }
      }
    }
  }
  return expected;
}

struct Shape {
  std::int64_t rows, inputs, outputs;
};
/// The last layer of the vanilla network, a non-local block's query, key and value, and one whose
/// sizes are no multiples of anything but what 16 bytes ask for.
constexpr Shape kShapes[] = {{7, 512, 64}, {130, 32, 48}, {3, 24, 8}};

class LtLinear : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_cublas_lt(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    handle_.emplace(stream_);
  }

  /// Calls test(experiment) for every shape, pass and use of the bias.
  template <class Test>
  void for_each_problem(const Test& test) {
    for (const Shape& shape : kShapes) {
      for (const ConvolutionPass pass : kConvolutionPasses) {
        for (const bool bias : {false, true}) {
          if (bias && pass != ConvolutionPass::forward) {
            continue;
          }
          SCOPED_TRACE(std::to_string(shape.rows) + " rows, " + std::to_string(shape.inputs) +
                       " to " + std::to_string(shape.outputs) + ", pass " +
                       std::to_string(static_cast<int>(pass)) + (bias ? " with the bias" : ""));
          Experiment experiment({.pass = pass,
                                 .rows = shape.rows,
                                 .inputs = shape.inputs,
                                 .outputs = shape.outputs,
                                 .precision = GetParam(),
                                 .bias = bias},
                                *handle_);
          test(experiment);
        }
      }
    }
  }

  CudaStream stream_;
  std::optional<CublasLtHandle> handle_;
};

TEST_P(LtLinear, IsItsDefinition) {
  for_each_problem([](Experiment& experiment) {
    const LtProblem& problem = experiment.problem;
    const bool bf16 = problem.precision == Precision::bf16;
    if (!(bf16 && problem.bias)) {  // see LtProblem
      ASSERT_FALSE(experiment.plans.empty());
    }
    const Expected expected = expected_of(experiment);
    for (const LtPlan& plan : experiment.plans) {
      SCOPED_TRACE(plan.name());
      ASSERT_LE(plan.workspace_bytes(), LtPlan::kLargestWorkspace);
      expect_near(experiment.run(plan), expected.result, expected.products, problem.precision,
                  problem.pass == ConvolutionPass::weight_gradient ? 0 : 1);
    }
  });
}

TEST_P(LtLinear, GivesTheSameBitsAgainAndInAGraph) {
  for_each_problem([](Experiment& experiment) {
    for (const LtPlan& plan : experiment.plans) {
      SCOPED_TRACE(plan.name());
      const Results first = experiment.run(plan);
      EXPECT_TRUE(experiment.run(plan) == first);
      const CudaGraph graph =
          CudaGraph::capture(experiment.handle.stream(), [&] { experiment.enqueue(plan); });
      experiment.forget_results();
      graph.launch(experiment.handle.stream());
      EXPECT_TRUE(experiment.results() == first);
    }
  });
}

TEST_P(LtLinear, IsTheSameOnceSavedAndRestored) {
  for_each_problem([](Experiment& experiment) {
    for (const LtPlan& plan : experiment.plans) {
      const std::vector<std::uint8_t> saved = plan.save();
      const std::optional<LtPlan> restored =
          LtPlan::restore(experiment.handle, experiment.problem, saved);
      ASSERT_TRUE(restored.has_value());
      EXPECT_EQ(restored->name(), plan.name());
      EXPECT_LE(restored->workspace_bytes(), plan.workspace_bytes());
      EXPECT_EQ(experiment.run(*restored), experiment.run(plan));

      std::vector<std::uint8_t> of_another_version = saved;
      of_another_version[0] ^= 1U;
      EXPECT_FALSE(LtPlan::restore(experiment.handle, experiment.problem, of_another_version));
      EXPECT_FALSE(
          LtPlan::restore(experiment.handle, experiment.problem, {saved.begin(), saved.end() - 1}));
    }
  });
}

#ifdef EBM_EMULATED_CUDA
// The emulated library proposes its plans in a known order, with and without what is refused.
TEST_P(LtLinear, TakesNoPlanWhoseSumsMayDiffer) {
  const LtProblem problem = {.pass = ConvolutionPass::input_gradient,
                             .rows = 3,
                             .inputs = 24,
                             .outputs = 8,
                             .precision = GetParam()};
  std::string plans;
  for (const LtPlan& plan : lt_candidates(*handle_, problem, kMost)) {
    plans += plan.name().substr(19, 1);  // after "cuBLASLt algorithm "
  }
  // 0 needs tensor cores, 3 rounds parts to the result's type, 4 adds them in the result.
  EXPECT_EQ(plans, GetParam() == Precision::fp32   ? "123"
                   : GetParam() == Precision::tf32 ? "0123"
                                                   : "012");
}
#endif

std::string name_of(const testing::TestParamInfo<Precision>& info) {
  const char* const names[] = {"fp32", "tf32", "bf16"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Precisions, LtLinear,
                         testing::Values(Precision::fp32, Precision::tf32, Precision::bf16),
                         name_of);

}  // namespace
}  // namespace ebm
