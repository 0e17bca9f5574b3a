// The emulated device's state, for its own files.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

#include "control.h"
#include "cuda_runtime_api.h"

namespace emulated_cuda {

/// Something for the device to do.
using Work = std::function<cudaError_t()>;

/// Of compute capability 9.0: the dynamic shared memory of a block, without and with asking for it.
inline constexpr std::size_t kUsualSharedBytes = 48 * 1024;
inline constexpr std::size_t kMostSharedBytes = 227 * 1024;

/// Held in every call: the device does one thing at a time.
std::recursive_mutex& device_mutex();

Behaviour& current_behaviour();
Counts& current_counts();

/// Keeps `error` for cudaGetLastError(), and returns it.
cudaError_t report(cudaError_t error);
/// The same of a kernel that failed, with what cudaGetErrorString() is to say.
cudaError_t report_failure(cudaError_t error, const std::string& message);

/// What a call that waits, takes or gives back memory begins with: counts it, and fails while the
/// calling thread captures.
cudaError_t begin_synchronization();
cudaError_t begin_allocation();
/// And with what a kernel is loaded: fails while the calling thread captures.
cudaError_t begin_loading();

/// Does what has been put on the stream, or on all; null is the default stream.
cudaError_t finish(cudaStream_t stream);
cudaError_t finish_all();
bool is_capturing(cudaStream_t stream);
/// Does the work now, keeps it for later, or, while the stream captures, puts it into the graph.
cudaError_t enqueue(cudaStream_t stream, Work work);

/// While one exists the device's memory can be used. At all other times AddressSanitizer takes an
/// access for a host's that has mistaken a device's address for its own.
struct DeviceAtWork {
#ifdef __SANITIZE_ADDRESS__
  DeviceAtWork();
  ~DeviceAtWork();
  DeviceAtWork(const DeviceAtWork&) = delete;
  DeviceAtWork& operator=(const DeviceAtWork&) = delete;
#endif
};

}  // namespace emulated_cuda
