// Kernels on their way to a stream.

#include "launch.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "runtime.h"

namespace emulated_cuda {
namespace {

std::map<const void*, std::size_t>& most_shared_bytes() {
  static std::map<const void*, std::size_t> of_kernels;
  return of_kernels;
}

/// Makes sure that the kernel is loaded, which it is from its first launch on.
cudaError_t load(const void* kernel) {
  static std::set<const void*> loaded;
  if (loaded.contains(kernel)) {
    return cudaSuccess;
  }
  const cudaError_t status = begin_loading();
  if (status == cudaSuccess) {
    loaded.insert(kernel);
  }
  return status;
}

cudaError_t check(const Launch& work) {
  const dim3& threads = work.threads;
  const dim3& blocks = work.blocks;
  if (count(blocks) == 0 || blocks.x > 0x7fffffffU || blocks.y > 65535 || blocks.z > 65535 ||
      count(threads) == 0 || count(threads) > 1024 || threads.z > 64) {
    return report(cudaErrorInvalidConfiguration);
  }
  const auto asked = most_shared_bytes().find(work.kernel);
  const std::size_t most = asked == most_shared_bytes().end() ? kUsualSharedBytes : asked->second;
  return work.shared_bytes > most ? report(cudaErrorInvalidValue) : cudaSuccess;
}

}  // namespace

cudaError_t launch(cudaStream_t stream, Launch work, bool usable) {
  const std::scoped_lock lock(device_mutex());
  if (!usable) {
    return report_failure(cudaErrorIllegalAddress,
                          "kernel " + kernel_name(work.kernel) +
                              " is given a pointer into memory that is not the device's");
  }
  if (const cudaError_t status = check(work); status != cudaSuccess) {
    return status;
  }
  if (const cudaError_t status = load(work.kernel); status != cudaSuccess) {
    return status;
  }
  ++current_counts().kernels;
  return enqueue(stream, [work = std::move(work)] {
    const std::string error = run_grid(work, current_behaviour().order);
    return error.empty() ? cudaSuccess : report_failure(cudaErrorLaunchFailure, error);
  });
}

}  // namespace emulated_cuda

using namespace emulated_cuda;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute /*attribute*/, int value) {
  const std::scoped_lock lock(device_mutex());
  if (value < 0 || static_cast<std::size_t>(value) > kMostSharedBytes) {
    return report(cudaErrorInvalidValue);
  }
  most_shared_bytes()[kernel] = static_cast<std::size_t>(value);
  return cudaSuccess;
}
