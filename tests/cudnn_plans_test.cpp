// Whether cuDNN has plans for the published networks. It answers for a GPU that is described to it,
// so no device is needed; measuring and running the plans are cudnn_convolution_test's.

#include <cudnn_frontend.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/device/cudnn_handle.h"
#include "cuda/nn/cudnn_graphs.h"
#include "cuda/nn/cudnn_plan.h"
#include "cuda/nn/network.h"

namespace ebm {
namespace {

namespace fe = cudnn_frontend;

/// A GPU, by what cuDNN wants to know of it.
struct Gpu {
  const char* name;
  int compute_capability;  ///< 900 is 9.0
  int multiprocessors;
  int shared_memory;  ///< bytes that a block may ask for
  long long memory;
  int clock;  ///< kHz
  int memory_clock;
  int l2_cache;

  friend void PrintTo(const Gpu& gpu, std::ostream* out) { *out << gpu.name; }
};

constexpr Gpu kGpus[] = {
    {"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 85899345920, 1410000, 1593000, 41943040},
    {"NVIDIA H100 80GB HBM3", 900, 132, 232448, 85520809984, 1980000, 2619000, 52428800},
    {"NVIDIA B200", 1000, 148, 232448, 191510347776, 1965000, 3996000, 132644864},
};

/// The JSON of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, whose names are those of cudaDeviceAttr.
std::string description(const Gpu& gpu) {
  return nlohmann::json{
      {"deviceName", gpu.name},
      {"cudaDeviceId", 0},
      {"deviceVer", gpu.compute_capability},
      {"driverVer", CUDART_VERSION},
      {"multiProcessorCount", gpu.multiprocessors},
      {"maxSharedMemoryPerBlock", 49152},
      {"maxSharedMemoryPerBlockOptin", gpu.shared_memory},
      {"reservedSharedMemoryPerBlock", 1024},
      {"totalGlobalMem", gpu.memory},
      {"smClockRateKHz", gpu.clock},
      {"memClockRateKHz", gpu.memory_clock},
      {"l2CacheSize", gpu.l2_cache},
      {"maxGridSize", {2147483647, 65535, 65535}},
      {"maxBlockSize", {1024, 1024, 64}},
      {"maxThreadsPerBlock", 1024},
      {"maxThreadsPerSM", 2048},
      {"maxCtasPerSM", 32},
      {"regsPerBlock", 65536},
      {"maxRegistersPerSM", 65536},
      {"warpSize", 32},
      {"pciDeviceId", 0},
      {"isTccDriver", 0},
      {"supportCoopLaunch", 1},
  }
      .dump();
}

constexpr int kBatch = 100;

/// The convolutions with 16 input channels or more of the published networks on images, linear
/// layers and the 1×1 ones of the non-local blocks (query, key and value at once; and W) included.
std::vector<ConvolutionShape> published_convolutions() {
  std::vector<ConvolutionShape> shapes;
  for (const char* name : {"vanilla", "nonlocal"}) {
    const Network network = published_network(name, 3, 32);
    for (std::size_t i = 1; i < network.layers().size(); ++i) {
      const Layer& layer = network.layers()[i];
      const auto [channels, height, width] = network.shape_before(i);
      ConvolutionShape shape{.images = kBatch,
                             .in_channels = channels,
                             .height = height,
                             .width = width,
                             .out_channels = layer.outputs,
                             .kernel = layer.kernel,
                             .stride = layer.stride,
                             .padding = layer.padding};
      if (layer.kind == LayerKind::conv || layer.kind == LayerKind::linear) {
        shapes.push_back(shape);
      } else if (layer.kind == LayerKind::nonlocal) {
        shape.out_channels = channels / 2 * 3;
        shapes.push_back(shape);
        shape.in_channels = channels / 2;
        shape.out_channels = channels;
        shapes.push_back(shape);
      }
    }
  }
  return shapes;
}

std::string text_of(const ConvolutionShape& shape) {
  return std::to_string(shape.in_channels) + " to " + std::to_string(shape.out_channels) +
         " channels, " + std::to_string(shape.kernel) + "x" + std::to_string(shape.kernel) +
         " on " + std::to_string(shape.height) + "x" + std::to_string(shape.width);
}

class CudnnPlans : public testing::TestWithParam<std::tuple<Gpu, Precision>> {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_cudnn(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    const std::string json = description(std::get<Gpu>(GetParam()));
    const auto status = gpu_->deserialize({json.begin(), json.end()});
    ASSERT_TRUE(status.is_good()) << fe::error_t(status).get_message();
  }

  Precision precision() const { return std::get<Precision>(GetParam()); }
  ConvolutionPattern pattern(const ConvolutionShape& shape) const {
    return {.shape = shape, .precision = precision(), .leaky_relu = true, .input_is_leaky = true};
  }
  /// The number of plans that are proposed for the graph.
  std::int64_t proposals(const CudnnGraph& graph) const {
    graph->set_device_properties(gpu_);
    return propose_plans(*graph, nullptr, precision()) ? graph->get_execution_plan_count() : 0;
  }
  /// Whether one of them compiles.
  bool has_plan(const CudnnGraph& graph) const {
    const std::int64_t proposed = proposals(graph);
    for (std::int64_t plan = 0; plan < proposed; ++plan) {
      if (graph->build_plan_at_index(plan).is_good()) {
        return true;
      }
    }
    return false;
  }

 private:
  std::shared_ptr<fe::DeviceProperties> gpu_ = std::make_shared<fe::DeviceProperties>();
};

TEST_P(CudnnPlans, EveryPassOfEveryLayerHasOne) {
  for (const ConvolutionShape& shape : published_convolutions()) {
    SCOPED_TRACE(text_of(shape));
    EXPECT_TRUE(has_plan(forward_graph(pattern(shape), false)));
    EXPECT_TRUE(has_plan(input_gradient_graph(pattern(shape), false)));
    EXPECT_TRUE(has_plan(weight_gradient_graph(shape)));
  }
}

// Their kernels are compiled for the graph and loaded by the driver, which no test without a device
// can see. In fp32 most are refused for their tensor cores, so none need be left.
class FusedCudnnPlans : public CudnnPlans {};

TEST_P(FusedCudnnPlans, AreProposed) {
  if (dlopen("libcuda.so.1", RTLD_NOW) == nullptr) {
    GTEST_SKIP() << "cuDNN does not propose them where there is no libcuda.so.1, not even the "
                    "CUDA Toolkit's stub";
  }
  for (const ConvolutionShape& shape : published_convolutions()) {
    if (shape.out_channels == 1) {  // too few for bf16's loads; an energy head is a kernel of ours
      continue;
    }
    SCOPED_TRACE(text_of(shape));
    EXPECT_GT(proposals(forward_graph(pattern(shape), true)), 0);
    EXPECT_GT(proposals(input_gradient_graph(pattern(shape), true)), 0);
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<Gpu, Precision>>& info) {
  const auto& [gpu, precision] = info.param;
  const char* const names[] = {"fp32", "tf32", "bf16"};
  return "sm" + std::to_string(gpu.compute_capability / 10) + "_" +
         names[static_cast<int>(precision)];
}

INSTANTIATE_TEST_SUITE_P(Gpus, CudnnPlans,
                         testing::Combine(testing::ValuesIn(kGpus),
                                          testing::Values(Precision::fp32, Precision::tf32,
                                                          Precision::bf16)),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Gpus, FusedCudnnPlans,
                         testing::Combine(testing::ValuesIn(kGpus),
                                          testing::Values(Precision::tf32, Precision::bf16)),
                         name_of);

}  // namespace
}  // namespace ebm
