#include "cuda/device/cuda_survey.h"

#include <cstdint>
#include <limits>
#include <string>

#ifdef EBM_CUDA
#include <cuda_runtime_api.h>

#include "cuda/device/cuda_status.h"
#endif

namespace ebm {

#ifdef EBM_CUDA
namespace {

/// The compute capabilities this program's kernels were compiled for, 100·major + 10·minor,
/// ascending; the last also as PTX, which the driver can compile for newer ones.
constexpr int kArchitectures[] = {__CUDA_ARCH_LIST__};

std::string why_unusable(const CudaDevice& device) {
  std::string compiled_for;
  int newest = 0;
  for (const int architecture : kArchitectures) {
    const int major = architecture / 100;
    const int minor = architecture % 100 / 10;
    // A binary runs on its own major revision, from its own minor one.
    if (major == device.major && minor <= device.minor) {
      return "";
    }
    compiled_for +=
        (compiled_for.empty() ? "" : ", ") + std::to_string(major) + "." + std::to_string(minor);
    newest = architecture;
  }
  if (100 * device.major + 10 * device.minor >= newest) {
    return "";
  }
  return "this program was built for compute capability " + compiled_for +
         " and newer; configure with CMAKE_CUDA_ARCHITECTURES=" + std::to_string(device.major) +
         std::to_string(device.minor);
}

CudaDevice describe_device(int index) {
  CudaDevice device{.index = index};
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, index);
      status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    device.unusable = cudaGetErrorString(status);
    return device;
  }
  device.name = properties.name;
  device.major = properties.major;
  device.minor = properties.minor;
  device.unusable = why_unusable(device);
  return device;
}

}  // namespace

CudaSurvey enumerate_devices() {
  CudaAnswer answer;
  static_cast<void>(cudaDriverGetVersion(&answer.driver_version));
  static_cast<void>(cudaRuntimeGetVersion(&answer.runtime_version));
  if (const cudaError_t status = cudaGetDeviceCount(&answer.devices); status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    answer.devices = 0;
    answer.error = status == cudaErrorNoDevice ? "" : cudaGetErrorString(status);
  }
  CudaSurvey survey{.unusable = why_no_cuda(answer), .devices = {}};
  if (survey.unusable.empty()) {
    for (int index = 0; index < answer.devices; ++index) {
      survey.devices.push_back(describe_device(index));
    }
  }
  return survey;
}

std::size_t open_cuda_device(int index) {
  EBM_CHECK_CUDA(cudaSetDevice(index));
  std::size_t free = 0;
  std::size_t total = 0;
  EBM_CHECK_CUDA(cudaMemGetInfo(&free, &total));
  cudaMemPool_t pool = nullptr;
  EBM_CHECK_CUDA(cudaDeviceGetDefaultMemPool(&pool, index));
  auto keep = std::numeric_limits<std::uint64_t>::max();
  EBM_CHECK_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  EBM_CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved));
  EBM_CHECK_CUDA(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used));
  return free + (reserved - used);
}

#else

CudaSurvey enumerate_devices() {
  return {.unusable = "this program was built without CUDA; build it with the preset cuda",
          .devices = {}};
}

#endif

}  // namespace ebm
