// Whether cuDNN has plans for the published networks, compiled whole, for GPUs that are described
// to it. No device is needed; measuring and running the plans are cudnn_convolution_test's.

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/device/cudnn_handle.h"
#include "cuda/device/driver_stand_in.h"
#include "cuda/nn/gpu/convolution_pattern.h"
#include "cuda/nn/gpu/cudnn/plan_compilation.h"
#include "tests/support/temporary_folder.h"

namespace ebm {

void PrintTo(const DescribedGpu& gpu, std::ostream* out) { *out << gpu.name; }

namespace {

const DescribedGpu& described_gpu(const std::string& name) {
  return *std::ranges::find(described_gpus(), name, &DescribedGpu::name);
}

class CudnnPlans : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // First of all: cuDNN keeps the driver that it finds.
    static const std::string driver = open_driver_stand_in();
    ASSERT_EQ(driver, "");
  }
  void SetUp() override {
    if (const std::string reason = why_no_cudnn(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
};

/// The published networks' convolutions in batches of so many images.
std::vector<ConvolutionPattern> published_convolutions(int images, Precision precision) {
  std::vector<ConvolutionPattern> patterns;
  for (const char* name : {"vanilla", "nonlocal"}) {
    const auto more = library_convolutions(published_network(name, 3, 32), images, precision);
    patterns.insert(patterns.end(), more.begin(), more.end());
  }
  return patterns;
}

/// Whether one of the plans that cuDNN proposes is compiled.
bool has_plan(const DescribedGpu& gpu, const ConvolutionPattern& pattern, const GraphKind& kind) {
  const CudnnGraph graph = make_graph(pattern, kind);
  if (!propose_plans(*graph, PlanTarget::described(gpu).properties,
                     precision_of(pattern, kind.pass))) {
    return false;
  }
  const auto proposals = static_cast<std::int64_t>(proposed_plans(*graph).size());
  for (std::int64_t i = 0; i < proposals; ++i) {
    if (CudnnPlan::compile(graph, i)) {
      return true;
    }
  }
  return false;
}

class PublishedPlans : public CudnnPlans,
                       public testing::WithParamInterface<std::tuple<const char*, Precision, int>> {
};

// Every pass has a plan, and a fused one too; in fp32, which refuses tensor cores, where there is a
// LeakyReLU to fuse.
TEST_P(PublishedPlans, AreCompiledForEveryPass) {
  const auto& [name, precision, images] = GetParam();
  const DescribedGpu& gpu = described_gpu(name);
  for (const ConvolutionPattern& pattern : published_convolutions(images, precision)) {
    for (const ConvolutionPass pass : kConvolutionPasses) {
      for (const GraphKind& kind : graph_kinds(pattern, pass)) {
        if (kind.form != GraphForm::fused || precision != Precision::fp32 || pattern.leaky_relu) {
          EXPECT_TRUE(has_plan(gpu, pattern, kind)) << describe(pattern) << ", " << kind.name();
        }
      }
    }
  }
}

// What ebm_plans and a first start do: everything that would be compiled as it is measured, once.
class CompiledPlansTest : public CudnnPlans {
 protected:
  static constexpr ConvolutionPattern kPattern = {.shape = {.images = 2,
                                                            .in_channels = 16,
                                                            .height = 8,
                                                            .width = 8,
                                                            .out_channels = 16,
                                                            .kernel = 3,
                                                            .padding = 1},
                                                  .leaky_relu = true,
                                                  .input_is_leaky = true};

  static CompiledPlans compile(const char* gpu, const PlanCache& cache) {
    return compile_plans(PlanTarget::described(described_gpu(gpu)), {&kPattern, 1}, cache, 2,
                         [&](const std::string& key, const std::vector<std::uint8_t>& plan) {
                           EXPECT_TRUE(cache.keep(key, plan)) << key;
                         });
  }
};

TEST_F(CompiledPlansTest, AreThoseThatAreMeasuredAndAreCompiledOnce) {
  const TemporaryFolder folder;
  const PlanCache cache(folder.path(), {});
  const CompiledPlans first = compile("h100", cache);
  EXPECT_GE(first.compiled, 2);  // forward and input gradient have fused plans
  EXPECT_EQ(first.known, 0);

  int expected = 0;
  const PlanTarget target = PlanTarget::described(described_gpu("h200"));  // is of the same kind
  for (const ConvolutionPass pass : kConvolutionPasses) {
    for (const GraphKind& kind : graph_kinds(kPattern, pass)) {
      const CudnnGraph graph = make_graph(kPattern, kind);
      ASSERT_TRUE(propose_plans(*graph, target.properties, kPattern.precision));
      const std::vector<ProposedPlan> proposals = proposed_plans(*graph);
      std::size_t left = measured_plans(kind);  // as PlanChoice goes through them
      for (std::size_t i = 0; i < proposals.size() && left > 0; ++i) {
        const std::string key = candidate_key(target.kind, kPattern, kind, proposals[i].name);
        const auto made = cache.find(key);
        EXPECT_EQ(made.has_value(), proposals[i].is_compiled_at_run_time) << key;
        if (made) {
          ++expected;
          const auto restored = CudnnPlan::restore(target.properties, *made);
          ASSERT_TRUE(restored) << key;
          EXPECT_EQ(restored->save(), *made);  // what a choice keeps
        }
        left -= made || CudnnPlan::compile(graph, static_cast<std::int64_t>(i)) ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(first.compiled, expected);

  const CompiledPlans second = compile("h100", cache);
  EXPECT_EQ(second.compiled, 0);
  EXPECT_EQ(second.known, first.compiled);
  EXPECT_EQ(second.failed, first.failed);
}

TEST_F(CompiledPlansTest, AFailureToKeepThemIsTheCallers) {
  EXPECT_THROW(compile_plans(PlanTarget::described(described_gpu("h100")), {&kPattern, 1},
                             PlanCache({}, {}), 2,
                             [](const std::string&, const std::vector<std::uint8_t>&) {
                               throw std::runtime_error("the disk is full");
                             }),
               std::runtime_error);
}

std::string name_of(const testing::TestParamInfo<PublishedPlans::ParamType>& info) {
  const auto& [gpu, precision, images] = info.param;
  const char* const names[] = {"fp32", "tf32", "bf16"};
  return std::string(gpu) + "_" + names[static_cast<int>(precision)] + "_" + std::to_string(images);
}

INSTANTIATE_TEST_SUITE_P(Gpus, PublishedPlans,
                         testing::Combine(testing::Values("a100", "h100", "b200"),
                                          testing::Values(Precision::fp32, Precision::tf32,
                                                          Precision::bf16),
                                          testing::Values(1, 100)),
                         name_of);

}  // namespace
}  // namespace ebm
