// Whether cuDNN has plans for the published networks, compiled whole, for GPUs that are described
// to it. No device is needed; measuring and running the plans are cudnn_convolution_test's.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "cuda/device/cudnn_handle.h"
#include "cuda/device/driver_stand_in.h"
#include "cuda/nn/device_lowering.h"
#include "cuda/nn/plan_compilation.h"

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

/// A plan of the first `most` that cuDNN proposes, compiled.
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

// Every pass has a plan, and a fused one too where that is possible: in fp32 the fused ones need
// tensor cores, which fp32 refuses.
TEST_P(PublishedPlans, AreCompiledForEveryPass) {
  const auto& [name, precision, images] = GetParam();
  const DescribedGpu& gpu = described_gpu(name);
  for (const ConvolutionPattern& pattern : published_convolutions(images, precision)) {
    for (const ConvolutionPass pass : kConvolutionPasses) {
      for (const GraphKind& kind : graph_kinds(pattern, pass)) {
        if (!kind.fused || precision != Precision::fp32) {
          EXPECT_TRUE(has_plan(gpu, pattern, kind)) << describe(pattern) << ", " << kind.name();
        }
      }
    }
  }
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
