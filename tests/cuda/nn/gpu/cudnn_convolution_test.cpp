// Convolutions by cuDNN against their definition, summed in double.

#include "cuda/nn/gpu/cudnn/cudnn_convolution.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cuda/device/cuda_graph.h"
#include "cuda/kernels/leaky_relu.cuh"
#include "cuda/nn/gpu/cudnn/plan_choice.h"
#include "tests/cuda/nn/gpu/convolution_definition.h"
#include "tests/cuda/nn/gpu/plan_folder.h"
#include "tests/cuda/nn/gpu/stored_array.h"
#include "tests/support/kernel_launch.h"
#include "tests/support/numbers.h"
#include "tests/support/temporary_folder.h"

namespace ebm {
namespace {

/// What the three passes make of the same arrays.
struct Results {
  std::vector<float> y;
  std::vector<float> dx;
  std::vector<float> dweight;

  bool operator==(const Results&) const = default;
};

/// A convolution with its arrays; NaN where a pass has not written.
struct Experiment {
  Experiment(const ConvolutionPattern& what, const PlanCache& cache)
      : pattern(what),
        convolution(CudnnConvolution::create(libraries, what, cache)),
        workspace(stream, convolution ? convolution->workspace_bytes() : 0) {}

  void enqueue() {
    convolution->take_weights(weight.data());
    convolution->forward(x.data(), weight.data(), static_cast<const float*>(bias.data()), y.data(),
                         workspace.data());
    convolution->input_gradient(dy.data(), weight.data(),
                                pattern.input_is_leaky ? x.data() : nullptr, dx.data(),
                                workspace.data());
    convolution->weight_gradient(x.data(), dy.data(), static_cast<float*>(dweight.data()),
                                 workspace.data());
  }
  /// Writes NaN over them.
  void forget_results() {
    y.upload(std::vector<float>(dy_values.size(), kNan));
    dx.upload(std::vector<float>(x_values.size(), kNan));
    dweight.upload(std::vector<float>(weight_values.size(), kNan));
  }
  Results results() const { return {y.values(), dx.values(), dweight.values()}; }

  ConvolutionPattern pattern;
  bool shorter = pattern.precision == Precision::bf16;
  std::vector<float> x_values = numbers_of(pattern.precision, input_size(pattern.shape), 1);
  std::vector<float> weight_values = numbers_of(pattern.precision, weight_size(pattern.shape), 2);
  std::vector<float> bias_values = numbers(static_cast<std::size_t>(pattern.shape.out_channels), 3);
  std::vector<float> dy_values = numbers_of(pattern.precision, output_size(pattern.shape), 4);

  CudaStream stream;
  ConvolutionLibraries libraries{stream};
  std::unique_ptr<CudnnConvolution> convolution;
  StoredArray x{stream, shorter, x_values};
  StoredArray weight{stream, shorter, weight_values};
  StoredArray bias{stream, false, bias_values};
  StoredArray dy{stream, shorter, dy_values};
  StoredArray y{stream, shorter, std::vector<float>(dy_values.size(), kNan)};
  StoredArray dx{stream, shorter, std::vector<float>(x_values.size(), kNan)};
  StoredArray dweight{stream, false, std::vector<float>(weight_values.size(), kNan)};
  DeviceBuffer<std::byte> workspace;
};

/// Layers as the published networks have them, on fewer and smaller images.
constexpr ConvolutionShape kShapes[] = {
    {.images = 3,
     .in_channels = 32,
     .height = 9,
     .width = 8,
     .out_channels = 64,
     .kernel = 3,
     .padding = 1},
    {.images = 3,
     .in_channels = 32,
     .height = 8,
     .width = 8,
     .out_channels = 64,
     .kernel = 4,
     .stride = 2,
     .padding = 1},
    {.images = 3,
     .in_channels = 32,
     .height = 9,  // no output depends on the last row
     .width = 10,
     .out_channels = 64,
     .kernel = 4,
     .stride = 2},
    {.images = 5, .in_channels = 256, .height = 4, .width = 4, .out_channels = 1, .kernel = 4},
    {.images = 2, .in_channels = 32, .height = 16, .width = 16, .out_channels = 48},
    {.images = 7, .in_channels = 2048, .out_channels = 256},
};

class CudnnConvolutions : public testing::TestWithParam<Precision> {
 protected:
  /// The program's plans, all compiled at once.
  static const PlanCache& plans() {
    static const PlanCache cache = [] {
      std::vector<ConvolutionPattern> patterns;
      for (const ConvolutionShape& shape : kShapes) {
        for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
          for (const bool leaky : {false, true}) {
            patterns.push_back({.shape = shape,
                                .precision = precision,
                                .leaky_relu = leaky,
                                .input_is_leaky = leaky});
          }
        }
      }
      PlanCache compiled(plan_folder());
      const CudaStream stream;
      compile_ahead(ConvolutionLibraries(stream), patterns, compiled);
      return compiled;
    }();
    return cache;
  }
};

TEST_P(CudnnConvolutions, AreTheirDefinition) {
  for (const ConvolutionShape& shape : kShapes) {
    for (const bool leaky : {false, true}) {
      SCOPED_TRACE(std::to_string(shape.in_channels) + " channels, kernel " +
                   std::to_string(shape.kernel) + (leaky ? ", leaky" : ""));
      Experiment experiment(
          {.shape = shape, .precision = GetParam(), .leaky_relu = leaky, .input_is_leaky = leaky},
          plans());
      ASSERT_NE(experiment.convolution, nullptr);
      experiment.enqueue();
      const Results results = experiment.results();

      Sums y(experiment.dy_values.size());
      Sums dx(experiment.x_values.size());
      Sums dweight(experiment.weight_values.size());
      const std::vector<float>& x = experiment.x_values;
      for_each_product(shape, [&](std::size_t input, std::size_t output, std::size_t weight) {
        const double w = experiment.weight_values[weight];
        const double dy = experiment.dy_values[output];
        y.add(output, w * x[input]);
        dx.add(input, w * dy);
        dweight.add(weight, dy * x[input]);
      });
      for (std::size_t i = 0; i < y.exact.size(); ++i) {
        y.add(i, experiment.bias_values[i % experiment.bias_values.size()]);
        y.exact[i] *= leaky && y.exact[i] < 0 ? double{kLeakySlope} : 1;
      }
      for (std::size_t i = 0; i < dx.exact.size(); ++i) {
        dx.exact[i] *= leaky && x[i] <= 0 ? double{kLeakySlope} : 1;
      }
      const int taps = shape.kernel * shape.kernel;
      const int pixels = shape.images * shape.out_height() * shape.out_width();
      // Two kernels store, one after the other, where the plan is not a fused one.
      expect_near(results.y, y, taps * shape.in_channels + 1, GetParam(), 2);
      expect_near(results.dx, dx, taps * shape.out_channels, GetParam(), 2);
      expect_near(results.dweight, dweight, pixels, GetParam(), 0);
    }
  }
}

TEST_P(CudnnConvolutions, GiveTheSameBitsAgainAndInAGraph) {
  for (const ConvolutionShape& shape : kShapes) {
    SCOPED_TRACE(std::to_string(shape.in_channels) + " channels, kernel " +
                 std::to_string(shape.kernel));
    Experiment experiment(
        {.shape = shape, .precision = GetParam(), .leaky_relu = true, .input_is_leaky = true},
        plans());
    ASSERT_NE(experiment.convolution, nullptr);
    experiment.enqueue();
    const Results first = experiment.results();
    experiment.enqueue();
    EXPECT_TRUE(experiment.results() == first);
    const CudaGraph graph = CudaGraph::capture(experiment.stream, [&] { experiment.enqueue(); });
    experiment.forget_results();
    graph.launch(experiment.stream);
    EXPECT_TRUE(experiment.results() == first);
  }
}

TEST_P(CudnnConvolutions, OfRememberedPlansGiveTheSameBits) {
  const TemporaryFolder folder;
  const PlanCache cache(folder.path());
  const ConvolutionPattern pattern = {
      .shape = kShapes[0], .precision = GetParam(), .leaky_relu = true, .input_is_leaky = true};
  Experiment measured(pattern, cache);
  ASSERT_NE(measured.convolution, nullptr);
  const std::vector<std::string> files = folder.names();
  EXPECT_EQ(files.size(), 3U);  // one for each pass
  std::vector<std::filesystem::file_time_type> times;
  for (const std::string& file : files) {
    times.push_back(std::filesystem::last_write_time(folder / file));
  }
  Experiment remembered(pattern, cache);
  ASSERT_NE(remembered.convolution, nullptr);
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(std::filesystem::last_write_time(folder / files[i]), times[i]) << "measured again";
  }
  measured.enqueue();
  remembered.enqueue();
  EXPECT_TRUE(measured.results() == remembered.results());
}

std::string name_of(const testing::TestParamInfo<Precision>& info) {
  const char* const names[] = {"fp32", "tf32", "bf16"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Precisions, CudnnConvolutions,
                         testing::Values(Precision::fp32, Precision::tf32, Precision::bf16),
                         name_of);

}  // namespace
}  // namespace ebm
