// Errors, the device's description, and what the tests can set and count.

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime.h"

namespace emulated_cuda {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local std::string kernel_failure;

/// Of words with commas between them.
Behaviour parse_behaviour(const std::string& words) {
  Behaviour behaviour;
  std::istringstream stream(words);
  for (std::string word; std::getline(stream, word, ',');) {
    if (word == "ascending") {
      behaviour.order = Order::ascending;
    } else if (word == "descending") {
      behaviour.order = Order::descending;
    } else if (word == "shuffled") {
      behaviour.order = Order::shuffled;
    } else if (word == "at_once") {
      behaviour.streams = Streams::at_once;
    } else if (word == "late") {
      behaviour.streams = Streams::late;
    } else {
      throw std::invalid_argument("EBM_EMULATED_CUDA: " + word +
                                  " is none of ascending, descending, shuffled, at_once, late");
    }
  }
  return behaviour;
}

Behaviour environment_behaviour() {
  const char* const words = std::getenv("EBM_EMULATED_CUDA");
  return parse_behaviour(words == nullptr ? "" : words);
}

}  // namespace

std::recursive_mutex& device_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

Behaviour& current_behaviour() {
  static Behaviour behaviour = environment_behaviour();
  return behaviour;
}

Counts& current_counts() {
  static Counts counts;
  return counts;
}

cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) {
    last_error = error;
  }
  return error;
}

cudaError_t report_failure(cudaError_t error, const std::string& message) {
  kernel_failure = message;
  return report(error);
}

Behaviour behaviour() {
  const std::scoped_lock lock(device_mutex());
  return current_behaviour();
}

void set_behaviour(const Behaviour& behaviour) {
  const std::scoped_lock lock(device_mutex());
  finish_all();
  current_behaviour() = behaviour;
}

Counts counts() {
  const std::scoped_lock lock(device_mutex());
  return current_counts();
}

}  // namespace emulated_cuda

using namespace emulated_cuda;

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t error) {
#define EBM_NAME(name) \
  case name:           \
    return #name;
  switch (error) {
    EBM_NAME(cudaSuccess)
    EBM_NAME(cudaErrorInvalidValue)
    EBM_NAME(cudaErrorMemoryAllocation)
    EBM_NAME(cudaErrorInvalidConfiguration)
    EBM_NAME(cudaErrorNoDevice)
    EBM_NAME(cudaErrorInvalidDevice)
    EBM_NAME(cudaErrorInvalidResourceHandle)
    EBM_NAME(cudaErrorNotReady)
    EBM_NAME(cudaErrorIllegalAddress)
    EBM_NAME(cudaErrorLaunchFailure)
    EBM_NAME(cudaErrorStreamCaptureUnsupported)
    EBM_NAME(cudaErrorStreamCaptureInvalidated)
    EBM_NAME(cudaErrorStreamCaptureUnjoined)
    EBM_NAME(cudaErrorStreamCaptureIsolation)
    EBM_NAME(cudaErrorCapturedEvent)
  }
#undef EBM_NAME
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  const bool of_kernel = error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure;
  return of_kernel ? kernel_failure.c_str() : cudaGetErrorName(error);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return report(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 8;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(kMostSharedBytes);
      break;
    default:
      return report(cudaErrorInvalidValue);
  }
  return cudaSetDevice(device);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "emulated CUDA device");
  cudaDeviceGetAttribute(&properties->major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&properties->minor, cudaDevAttrComputeCapabilityMinor, device);
  return cudaDeviceGetAttribute(&properties->multiProcessorCount, cudaDevAttrMultiProcessorCount,
                                device);
}
