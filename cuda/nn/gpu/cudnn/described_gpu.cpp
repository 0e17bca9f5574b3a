#include <cudnn_frontend.h>

#include <nlohmann/json.hpp>

#include "cuda/device/cudnn_status.h"
#include "cuda/nn/gpu/cudnn/plan_compilation.h"

namespace ebm {
namespace {

namespace fe = cudnn_frontend;

// From NVIDIA's data sheets, and for the clocks from what the cards say of themselves.
constexpr DescribedGpu kGpus[] = {
    {"a100", "NVIDIA A100-SXM4-80GB", {80, 108}, 166912, 85899345920, 1410000, 1593000, 41943040},
    {"h100", "NVIDIA H100 80GB HBM3", {90, 132}, 232448, 85520809984, 1980000, 2619000, 52428800},
    {"h100-pcie", "NVIDIA H100 PCIe", {90, 114}, 232448, 85520809984, 1755000, 1593000, 52428800},
    {"h200", "NVIDIA H200", {90, 132}, 232448, 150754820096, 1980000, 3201000, 62914560},
    {"b200", "NVIDIA B200", {100, 148}, 232448, 191510347776, 1965000, 3996000, 132644864},
};

/// The JSON of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, whose names are those of cudaDeviceAttr.
std::string description(const DescribedGpu& gpu) {
  return nlohmann::json{
      {"deviceName", gpu.model},
      {"cudaDeviceId", 0},
      {"deviceVer", 10 * gpu.kind.compute_capability},
      {"driverVer", CUDART_VERSION},
      {"multiProcessorCount", gpu.kind.multiprocessors},
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

}  // namespace

std::span<const DescribedGpu> described_gpus() { return kGpus; }

PlanTarget PlanTarget::described(const DescribedGpu& gpu) {
  auto properties = std::make_shared<fe::DeviceProperties>();
  const std::string json = description(gpu);
  EBM_CHECK_CUDNN(properties->deserialize({json.begin(), json.end()}));
  return {.kind = gpu.kind, .properties = std::move(properties)};
}

PlanTarget PlanTarget::current() {
  int device = 0;
  EBM_CHECK_CUDA(cudaGetDevice(&device));
  auto properties = std::make_shared<fe::DeviceProperties>();
  properties->set_device_id(device);
  EBM_CHECK_CUDNN(properties->build());
  return {.kind = current_gpu_kind(), .properties = std::move(properties), .device = device};
}

}  // namespace ebm
