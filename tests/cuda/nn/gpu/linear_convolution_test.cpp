// Convolutions with a kernel of 1 by cuBLASLt, with what is around them, against their definition,
// summed in double.

#include "cuda/nn/gpu/linear_convolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cuda/kernels/leaky_relu.cuh"
#include "tests/cuda/nn/gpu/stored_array.h"
#include "tests/support/kernel_launch.h"

namespace ebm {
namespace {

TEST(LinearConvolution, IsAProductOfPixelsWithAMatrix) {
  EXPECT_TRUE(is_linear({.images = 3, .in_channels = 8, .height = 5, .width = 4}));
  EXPECT_FALSE(is_linear({.height = 5, .width = 4, .kernel = 3, .padding = 1}));
  EXPECT_FALSE(is_linear({.height = 5, .width = 4, .stride = 2}));
  EXPECT_FALSE(is_linear({.height = 5, .width = 4, .padding = 1}));
}

/// A layer with its arrays and what they are to become.
struct Experiment {
  explicit Experiment(const CudaStream& on, const ConvolutionPattern& what)
      : stream(on), pattern(what) {
    const auto at = [](std::size_t row, std::size_t of, std::size_t i) { return row * of + i; };
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t to = 0; to < outputs; ++to) {
        const double gradient = dy_values[at(row, outputs, to)];
        for (std::size_t from = 0; from < inputs; ++from) {
          const double input = x_values[at(row, inputs, from)];
          const double w = weight_values[at(to, inputs, from)];
          y_sums.add(at(row, outputs, to), input * w);
          dx_sums.add(at(row, inputs, from), gradient * w);
          dweight_sums.add(at(to, inputs, from), gradient * input);
        }
        double& sum = y_sums.exact[at(row, outputs, to)];
        y_sums.add(at(row, outputs, to), bias_values[to]);
        sum *= pattern.leaky_relu && sum < 0 ? double{kLeakySlope} : 1;
      }
    }
    for (std::size_t i = 0; i < x_values.size(); ++i) {
      dx_sums.exact[i] *= pattern.input_is_leaky && x_values[i] <= 0 ? double{kLeakySlope} : 1;
    }
  }

  const CudaStream& stream;
  ConvolutionPattern pattern;
  std::size_t rows =
      static_cast<std::size_t>(pattern.shape.images * pattern.shape.height * pattern.shape.width);
  std::size_t inputs = static_cast<std::size_t>(pattern.shape.in_channels);
  std::size_t outputs = static_cast<std::size_t>(pattern.shape.out_channels);
  bool shorter = pattern.precision == Precision::bf16;
  std::vector<float> x_values = numbers_of(pattern.precision, rows* inputs, 1);
  std::vector<float> weight_values = numbers_of(pattern.precision, outputs* inputs, 2);
  std::vector<float> bias_values = numbers(outputs, 3);
  std::vector<float> dy_values = numbers_of(pattern.precision, rows* outputs, 4);

  StoredArray x{stream, shorter, x_values};
  StoredArray weight{stream, shorter, weight_values};
  StoredArray bias{stream, false, bias_values};
  StoredArray dy{stream, shorter, dy_values};
  StoredArray y{stream, shorter, dy_values};
  StoredArray dx{stream, shorter, x_values};
  StoredArray dweight{stream, false, weight_values};
  DeviceBuffer<std::byte> workspace{stream, LtPlan::kLargestWorkspace};

  Sums y_sums{dy_values.size()};
  Sums dx_sums{x_values.size()};
  Sums dweight_sums{weight_values.size()};
};

class LinearConvolutions : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_cublas_lt(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    handle_.emplace(stream_);
  }

  /// The best plan of a pass.
  LtPlan plan(const ConvolutionPattern& pattern, ConvolutionPass pass) const {
    std::vector<LtPlan> plans = lt_candidates(*handle_, linear_problem(pattern, pass), 1);
    EXPECT_EQ(plans.size(), 1U);
    return plans.at(0);
  }

  CudaStream stream_;
  std::optional<CublasLtHandle> handle_;
};

TEST_P(LinearConvolutions, AreTheirDefinition) {
  for (const bool leaky_relu : {false, true}) {
    for (const bool input_is_leaky : {false, true}) {
      SCOPED_TRACE(std::string(leaky_relu ? "leaky" : "plain") +
                   (input_is_leaky ? ", of a leaky input" : ""));
      Experiment layer(
          stream_,
          {.shape = {.images = 3, .in_channels = 24, .height = 3, .width = 2, .out_channels = 8},
           .precision = GetParam(),
           .leaky_relu = leaky_relu,
           .input_is_leaky = input_is_leaky});
      const ConvolutionPattern& pattern = layer.pattern;
      linear_forward(*handle_, pattern, plan(pattern, ConvolutionPass::forward), layer.x.data(),
                     layer.weight.data(), static_cast<const float*>(layer.bias.data()),
                     layer.y.data(), layer.workspace.data());
      linear_input_gradient(*handle_, pattern, plan(pattern, ConvolutionPass::input_gradient),
                            layer.dy.data(), layer.weight.data(),
                            input_is_leaky ? layer.x.data() : nullptr, layer.dx.data(),
                            layer.workspace.data());
      linear_weight_gradient(*handle_, plan(pattern, ConvolutionPass::weight_gradient),
                             layer.x.data(), layer.dy.data(),
                             static_cast<float*>(layer.dweight.data()), layer.workspace.data());
      expect_near(layer.y.values(), layer.y_sums, pattern.shape.in_channels + 1, GetParam(), 2);
      expect_near(layer.dx.values(), layer.dx_sums, pattern.shape.out_channels, GetParam(), 2);
      expect_near(layer.dweight.values(), layer.dweight_sums, static_cast<std::int64_t>(layer.rows),
                  GetParam(), 0);
    }
  }
}

std::string name_of(const testing::TestParamInfo<Precision>& info) {
  const char* const names[] = {"fp32", "tf32", "bf16"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Precisions, LinearConvolutions,
                         testing::Values(Precision::fp32, Precision::tf32, Precision::bf16),
                         name_of);

}  // namespace
}  // namespace ebm
